"""List the networks, methods, data sets, metrics, losses, optimizers and schedulers of option files, and their options.

srkd list networks
srkd list networks EDSR
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable
from typing import Any

from srkd.cli.display import say, show_json, show_table

KINDS = ("networks", "methods", "datasets", "metrics", "losses", "optimizers", "schedulers")

FOREIGN = {
    "basicsr.NAME": "any network of BasicSR, with its constructor's arguments as options; for example basicsr.RCAN",
    "spandrel": "as a teacher: any network whose weight file spandrel recognises, with the option path",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What kind, and which one."""
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("name", nargs="?", metavar="NAME", help="show the options of this one")


def run(args: argparse.Namespace) -> int:
    """Show a table."""
    from srkd.registry import DATASETS, LOSSES, METHODS, METRICS, NETWORKS, OPTIMIZERS, SCHEDULERS, Registry
    from srkd.signature import option_docs, option_names
    from srkd.table import Column, Table

    all_kinds = (NETWORKS, METHODS, DATASETS, METRICS, LOSSES, OPTIMIZERS, SCHEDULERS)
    registry: Registry[Any] = dict(zip(KINDS, all_kinds, strict=True))[args.kind]
    if args.name is None:
        table = Table([Column("name", "name"), Column("what it is", "name")])
        table.rows += [(name, _line(registry.get(name))) for name in registry.names()]
        table.rows += FOREIGN.items() if registry is NETWORKS else ()
        show_table(table)
        show_json([{"name": name, "text": text} for name, text in table.rows])
        return 0
    component = registry.get(args.name)
    say(f"{args.name}\n\n{re.split(_SECTION, _doc(component))[0].strip()}\n")
    described = option_docs(component)
    names = ("option", "type", "default", "meaning")
    table = Table([Column(name, "name") for name in names])
    for name, parameter in option_names(component).items():
        written = parameter.annotation
        kind = "" if written is inspect.Parameter.empty else written
        kind = kind if isinstance(kind, str) else inspect.formatannotation(kind)
        default = "required" if parameter.default is inspect.Parameter.empty else repr(parameter.default)
        table.rows.append((name, kind, default, described.get(name, "")))
    show_table(table)
    show_json({"name": args.name, "options": [dict(zip(names, row, strict=True)) for row in table.rows]})
    return 0


_SECTION = re.compile(r"^(?:Args|Returns|Raises|Attributes):$", re.MULTILINE)


def _line(component: Callable[..., Any]) -> str:
    from srkd.plugins import plugin_of

    text, plugin = _doc(component).split("\n")[0], plugin_of(component)
    return f"{text} (plugin {plugin})" if plugin else text


def _doc(component: Callable[..., Any]) -> str:
    own = inspect.getdoc(component) or ""
    constructor = inspect.getdoc(component.__init__) if inspect.isclass(component) else None
    return f"{own}\n{constructor}" if constructor and "Args:" in constructor and "Args:" not in own else own
