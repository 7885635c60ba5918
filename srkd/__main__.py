"""`python -m srkd` is the command line."""

import sys

from srkd.cli import main

if __name__ == "__main__":
    sys.exit(main())
