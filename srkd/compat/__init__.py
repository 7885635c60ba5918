"""Doors to neighbours: BasicSR and foreign checkpoints."""
