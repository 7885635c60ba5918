"""Benchmarks: named protocols, per-image results, tables."""
