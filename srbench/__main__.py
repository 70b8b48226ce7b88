"""``python -m srbench``."""

import sys

from srbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
