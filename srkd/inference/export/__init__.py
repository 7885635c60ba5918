"""A network as a file for other programs: the formats, the check that it computes the same, and its card."""

from srkd.inference.export.export import SUFFIXES, Form, Source, Written, export, open_source

__all__ = ["SUFFIXES", "Form", "Source", "Written", "export", "open_source"]
