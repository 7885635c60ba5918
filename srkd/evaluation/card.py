"""What a benchmark found of one network, for its model card."""

from __future__ import annotations

import json
from pathlib import Path

from srkd.evaluation.result import BICUBIC, Result
from srkd.networks.slim import Network
from srkd.table import Column, Table
from srkd.types import InputError


def results_of(result: Result, network: Network, path: Path | None) -> str:
    """A table in Markdown of a network and of bicubic interpolation, and the protocol; a row for each set and width.

    Args:
        result: what was measured.
        network: whose it is to be.
        path: its file: where the result holds several networks, it is the one with this path.

    Raises:
        InputError: the result is not of this network.
    """
    models = [model for model in result.models if isinstance(model.get("network"), dict)]
    own = [model for model in models if path and Path(model.get("path", "")).resolve() == path.resolve()] or models
    if len(own) != 1:
        names = ", ".join(str(model.get("path")) for model in models) or "none"
        raise InputError(f"results {result.path}: which of its networks is {path}? It holds {names}.")
    described = json.loads(json.dumps({"type": type(network).__name__, **network.config}))
    recorded = own[0]["network"]
    if described != recorded:
        different = [f"{name} {recorded.get(name)}" for name in described if recorded.get(name) != described[name]]
        raise InputError(f"results {result.path} are of {own[0].get('path')}, another network: {', '.join(different)}.")
    names = result.columns()
    numbers = [Column(name.upper(), digits=result.metric(name).digits) for name in names]
    table = Table([Column("set", "name"), Column("", "name"), Column("width"), *numbers])
    for row in result.summary:
        if row.model in (own[0]["name"], BICUBIC):
            partial = f" ({row.n} of {row.n_expected} images)" if row.n < row.n_expected else ""
            kind = BICUBIC if row.model == BICUBIC else "network"
            table.rows.append([row.set + partial, kind, f"{row.width:.4g}", *map(row.metrics.get, names)])
    return f"{table.markdown()}\n\nProtocol {result.protocol['description']} ({result.path.name})."
