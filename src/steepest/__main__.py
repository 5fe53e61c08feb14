"""`python -m steepest`: the command line, for where the `steepest` command is not on the path."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
