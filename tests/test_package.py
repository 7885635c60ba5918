"""The package as a whole: what importing it costs, how large it is, and what is in the wheel."""

from __future__ import annotations

import ast
import io
import statistics
import subprocess
import sys
import tokenize
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

import srkd
from srkd.networks.pretrained import PRETRAINED

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "srkd").rglob("*.py"))
HEAVY = {"basicsr", "cv2", "kornia", "numpy", "pydantic", "scipy", "skimage", "spandrel", "torch", "torchvision"}
MOST_LINES_OF_A_FILE = 350
MOST_LINES_OF_CODE = {  # by room: docs/decisions/0004-size-of-the-package.md
    "evaluation": 2_870,
    "inference": 1_910,
    "cli": 1_760,
    "options": 1_100,
    "engine": 2_710,
    "data": 2_259,
    "networks": 1_930,
    "methods": 1_655,
    "losses": 505,
    "compat": 745,
    "compression": 800,
    "imaging": 835,
    "metrics": 345,
    "": 972,  # the files beside the rooms
}


def module_name(source: Path) -> str:
    parts = source.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python(*arguments: str) -> str:
    """Run a fresh interpreter in the repository; returns what it prints, fails with what it complains about."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(*modules: str) -> set[str]:
    """The top-level packages in memory once a fresh interpreter has imported `modules`."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(python("-c", code).split())


@pytest.mark.parametrize("module", ["srkd", "srkd.cli"])
def test_import_is_light(module: str) -> None:
    assert not loaded_by(module) & HEAVY


def test_no_module_imports_basicsr_or_spandrel_on_its_own() -> None:
    # the one module that is imported in order to import BasicSR, by users: nothing here does
    loaded = loaded_by(*({module_name(source) for source in SOURCES} - {"srkd.compat.basicsr_model"}))
    assert "torch" in loaded
    assert not loaded & {"basicsr", "spandrel"}


def test_what_a_training_is_built_of_does_not_import_the_compiler() -> None:
    # a second and 100 MB at the start of every command
    code = "import sys, srkd.engine.build; print('torch._dynamo' in sys.modules)"
    assert python("-c", code).strip() == "False"


@pytest.mark.parametrize("name", srkd.__all__)
def test_public_name_exists(name: str) -> None:
    assert getattr(srkd, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'srkd' has no attribute 'Upscalar'"):
        srkd.Upscalar  # noqa: B018


def test_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert srkd.__version__ == project["version"] == citation["version"]
    assert project["license"] == citation["license"]


def test_help_names_the_commands() -> None:
    from srkd.cli import COMMANDS

    text = python("-m", "srkd", "--help")
    assert [name for name in COMMANDS if name not in text] == []


def test_sizes() -> None:
    lines = {str(source): len(source.read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FILE} == {}
    rooms: Counter[str] = Counter()
    for source in SOURCES:
        room, *below = source.relative_to(ROOT / "srkd").parts
        rooms[room if below else ""] += lines_of_code(source.read_text(encoding="utf-8"))
    assert {room: count for room, count in rooms.items() if count > MOST_LINES_OF_CODE[room]} == {}


def test_a_method_and_a_loss_are_short() -> None:
    """Half of the methods' classes are below 25 lines of code, half of the losses below 30, none has more than 120."""
    classes: dict[str, int] = {}
    for source in (ROOT / "srkd/methods").glob("*.py"):
        text = source.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and any("register" in ast.dump(each) for each in node.decorator_list):
                classes[node.name] = lines_of_code(ast.get_source_segment(text, node) or "")
    losses = {s.stem: lines_of_code(s.read_text(encoding="utf-8")) for s in (ROOT / "srkd/losses").glob("[!_]*.py")}
    assert len(classes) > 20 and statistics.median(classes.values()) < 25
    assert len(losses) > 10 and statistics.median(losses.values()) < 30
    assert {name: count for name, count in {**classes, **losses}.items() if count > 120} == {}


def test_the_worked_example_adds_a_method_in_under_15_lines() -> None:
    code = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    assert "METHODS.register" in code and lines_of_code(code) < 15


def lines_of_code(text: str) -> int:
    """Lines that hold a token which is neither a comment nor part of a docstring."""
    docstrings = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
        for number in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    }
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = {
        number
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in blank
        for number in range(token.start[0], token.end[0] + 1)
    }
    return len(code - docstrings)


def test_wheel_holds_the_package_and_the_demo(tmp_path: Path) -> None:
    # The build backend itself, without pip's isolated environment: nothing is fetched.
    python("-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    demo = {f"srkd/_options/demo/{path.name}" for path in (ROOT / "options" / "demo").glob("*.yml")}
    assert demo
    assert demo <= names
    assert {source.relative_to(ROOT).as_posix() for source in SOURCES} <= names
    assert {f"srkd/pretrained/{name}.{kind}" for name in PRETRAINED for kind in ("safetensors", "md")} <= names
    templates = {path.relative_to(ROOT).as_posix() for path in (ROOT / "srkd/evaluation/templates").iterdir()}
    assert len(templates) >= 8 and {"srkd/py.typed", *templates} <= names
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "options/")) for name in names)
