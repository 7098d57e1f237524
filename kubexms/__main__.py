"""`python -m kubexms`: the same as the command `kubexms`."""

from __future__ import annotations

from kubexms.cli.main import run

if __name__ == "__main__":
    run()
