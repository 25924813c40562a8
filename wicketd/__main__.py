"""`python -m wicketd`."""

import sys

from wicketd.cli import main

if __name__ == "__main__":
    sys.exit(main())
