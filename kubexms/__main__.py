"""`python -m kubexms`: the same as the command `kubexms`."""

from __future__ import annotations

import sys

from kubexms.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
