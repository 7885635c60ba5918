"""Every link of every Markdown file leads somewhere, and no text says that srkd is on a package index."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "datasets", "experiments", "results", "srkd_demo"} & set(path.relative_to(ROOT).parts[:1])
    or path.parent.name == "datasets"
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """Anchors of headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+\s+(.*)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        found.add(plain.strip().replace(" ", "-"))
    return found


def broken(page: Path, root: Path = ROOT) -> list[str]:
    bad: list[str] = []
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue  # the network is not asked
        place, _, anchor = unquote(target).partition("#")
        path = (page.parent / place).resolve() if place else page
        inside = path == root or root in path.parents
        if not path.exists() or not inside or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            bad.append(target)
    return bad


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path):
    page = ROOT / "docs" / "benchmark.md"
    assert "benchmark" not in broken(page)
    copy = tmp_path / "x.md"
    copy.write_text("# A b\n[good](#a-b) [bad](#c) [gone](gone.md) `[code](no.md)` [web](https://example.org)")
    assert broken(copy, tmp_path) == ["#c", "gone.md"]


def test_no_text_says_that_srkd_is_on_a_package_index():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    wrong = re.compile(r"pip install (?:-U |--upgrade )?[\"']?srkd\b")
    texts = [ROOT / name for name in listed if name.endswith((".md", ".py", ".txt", ".toml", ".yml", ".html"))]
    assert [str(path) for path in texts if path.name != "CHANGELOG.md" and wrong.search(path.read_text("utf-8"))] == []
