"""From an option file to a trained network: building, the training loop, checkpoints, logs."""
