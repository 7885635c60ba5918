"""Using a trained network: upscaling at any width, and export."""
