"""How large what comes from elsewhere may be: below everything, so that one page shows all limits (SECURITY.md)."""

from __future__ import annotations

GIB = 2**30

CHECKPOINT_BYTES = 8 * GIB
"""Size of a checkpoint file; published networks take up to 0.2 GiB, with optimiser states four times that."""

CHECKPOINT_GROWTH = 4
"""What the tensors in a checkpoint may add up to, in file sizes: views of one storage make it more than once."""

CHECKPOINT_DEPTH = 8
"""How deep dictionaries may lie in one another for the weights in them to be looked for."""

LARGEST_SCALE = 32
"""Upscaling factor of a network from a file: a transposed convolution's is not seen in its shapes."""

CHECKPOINT_SMALL = GIB // 4
"""What a checkpoint of any size may grow to; above it `CHECKPOINT_GROWTH` decides."""

IMAGE_PIXELS = 2**30
"""Of one image, from its header: 32,768 × 32,768, which as 8-bit RGB takes 3 GiB. The same wherever images are read."""

ARCHIVE_FILES = 200_000
"""In an archive of images that `srkd data get` unpacks."""

ARCHIVE_BYTES = 100 * GIB
"""Of all files in one, unpacked."""

ARCHIVE_GROWTH = 50
"""How many times its own size an archive may unpack to; images are compressed already, and grow by a tenth."""

ARCHIVE_SMALL = GIB // 4
"""What an archive of any size may unpack to; above it `ARCHIVE_GROWTH` decides."""

OPTION_BYTES = 64 * 1024
"""Of an option file and all the files it includes; those that ship take 1 or 2 KiB."""

OPTION_VALUES = 20_000
"""In an option file and all it includes, with what aliases repeat."""

OPTION_DEPTH = 50
"""Mappings and lists inside each other in an option file, and files that include each other."""
