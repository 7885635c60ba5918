"""From a large network to files for a device: a plan, a distillation, exports, and a report."""
