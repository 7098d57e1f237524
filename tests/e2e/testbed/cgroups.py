"""Control groups: one per host in every mounted hierarchy, below the caller's own.

They bound nothing; they are the exact list of a host's processes, which is what may be killed. Works
with v1, v2 and the hybrid of both, under systemd and without it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path


def own_directories() -> list[Path]:
    """Return this process's directory in every mounted hierarchy, without a fleet's own part."""
    mounts = [_Mount(line) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in mounts:
            if mount.holds(controllers):
                relative = os.path.relpath(path.split("/kubexms-")[0] or "/", mount.root)
                directory = (mount.point / relative).resolve()
                if ".." not in relative and directory.is_dir():
                    found.append(directory)
                break
    return found


def create(fleet: str, host: str) -> list[Path]:
    """Make the host's groups; return them, ready for a process to join."""
    made = []
    for own in own_directories():
        parent = own / f"kubexms-{fleet}"
        parent.mkdir(exist_ok=True)
        if (parent / "cpuset.mems").exists() and (parent / "cgroup.clone_children").exists():
            for name in ("cpuset.cpus", "cpuset.mems"):  # v1 cpuset starts empty: nothing could run in it
                (parent / name).write_text((own / name).read_text())
            (parent / "cgroup.clone_children").write_text("1")
        (parent / host).mkdir(exist_ok=True)
        made.append(parent / host)
    return made


def processes(groups: Iterable[Path]) -> set[int]:
    """Return the ids of the live processes in the groups and below them."""
    found: set[int] = set()
    for group in groups:
        for directory in _tree(group):
            try:
                found.update(int(pid) for pid in (directory / "cgroup.procs").read_text().split())
            except OSError:  # the group is going away
                continue
    return found


def kill(groups: list[Path], *, timeout: float = 10) -> None:
    """Kill everything in the groups and wait until it is gone.

    Raises TimeoutError when something survives (a process that hangs in the kernel).
    """
    deadline = time.monotonic() + timeout
    while left := processes(groups):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {sorted(left)} cannot be killed")
        time.sleep(0.02)


def remove(parent: Path, *, timeout: float = 5) -> None:
    """Remove a fleet's group and all below it; waits for the last processes, which may still be exiting."""
    deadline = time.monotonic() + timeout
    while parent.exists():
        for directory in sorted(_tree(parent), reverse=True):
            _rmdir(directory)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{parent} cannot be removed")
        if parent.exists():
            time.sleep(0.02)


def _tree(top: Path) -> list[Path]:
    """List a directory and those below it; unlike Path.rglob, os.walk bears that they vanish meanwhile."""
    return [Path(directory) for directory, _, _ in os.walk(top)]


def _rmdir(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:  # still in use, or gone already: the caller looks again
        return


class _Mount:
    """One line of mountinfo; see proc(5)."""

    def __init__(self, line: str) -> None:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        self.root, self.point = fields[3], Path(fields[4])
        self._kind, self._options = kind[0], kind[2].split(",") if len(kind) > 2 else []

    def holds(self, controllers: str) -> bool:
        if not controllers:
            return self._kind == "cgroup2"
        return self._kind == "cgroup" and set(controllers.split(",")) <= set(self._options)
