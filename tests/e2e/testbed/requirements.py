"""What the testbed needs from the machine, and the reason when it cannot have it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys

PROGRAMS = (
    "systemd-nspawn",
    "debootstrap",
    "ip",
    "ssh",
    "ssh-keygen",
    "nsenter",
    "unshare",
    "dpkg-scanpackages",
)


@functools.cache
def missing() -> str | None:
    """Return why hosts cannot be booted here, or None when they can.

    Tried for real: a mount and a network namespace are made, since a container may forbid what root may do.
    """
    if not sys.platform.startswith("linux"):
        return "real hosts need Linux"
    if os.geteuid() != 0:
        return "real hosts need root (namespaces, mounts, systemd-nspawn)"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"real hosts need {', '.join(absent)} (make prepare installs them by apt)"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"real hosts need mounts and namespaces, which this machine refuses: {tried.stderr.strip()}"
    return None
