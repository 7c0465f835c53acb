"""``python -m rawtp``."""

import sys

from rawtp.cli import main

if __name__ == "__main__":
    sys.exit(main())
