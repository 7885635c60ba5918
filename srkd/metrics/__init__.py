"""Image metrics and the cost of a network."""
