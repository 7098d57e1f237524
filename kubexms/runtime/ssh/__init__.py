"""SSH as a transport: the only place where paramiko is used."""

from __future__ import annotations

import sys

if "paramiko" not in sys.modules and "invoke" not in sys.modules:
    # paramiko imports it for `Match exec` of its own reader of ssh_config, which is not used here, and does
    # without where it is not installed. It drags in asyncio and unittest: half of what paramiko takes.
    sys.modules["invoke"] = None  # type: ignore[assignment]
    try:
        import paramiko  # noqa: F401
    finally:
        del sys.modules["invoke"]
