"""Data sets, the decoded cache, and the arithmetic sampler."""
