"""Pure loss functions of tensors; they know no networks."""
