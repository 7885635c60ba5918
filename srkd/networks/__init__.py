"""Super-resolution networks: pure modules, `forward(x, width=1.0)`; they know nothing of distillation."""
