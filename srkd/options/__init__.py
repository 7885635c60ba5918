"""Typed option files: read, override, check, dump; every wrong key in one message, with file, line and suggestion."""

from __future__ import annotations

from srkd.options.components import Component, MetricBlock
from srkd.options.dump import dump_options
from srkd.options.load import import_plugins_of, load_test_options, load_train_options
from srkd.options.overrides import read_assignments
from srkd.options.schema import DatasetBlock, Options, TestOptions, TrainOptions
from srkd.signature import parse_width

__all__ = [
    "Component",
    "DatasetBlock",
    "MetricBlock",
    "Options",
    "TestOptions",
    "TrainOptions",
    "dump_options",
    "import_plugins_of",
    "load_test_options",
    "load_train_options",
    "parse_width",
    "read_assignments",
]
