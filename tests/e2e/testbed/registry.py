"""Which fleets are up on this machine, and how to take one down from what its directory says.

A fleet belongs to the process that holds the lock file in its directory; the operating system frees
the lock when that process dies, whatever way, and the next fleet to come up removes what it left. A
fleet made by hand (`detached`) has no owner and stays until it is taken down or the machine restarts.
"""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

from tests.e2e.testbed import cgroups, network
from tests.e2e.testbed.cache import cache_root, locked

NSPAWN_RUN = Path("/run/systemd/nspawn")
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY_NEEDED = 8192  # systemd needs about 5 per host, and root often has 128 in all


def directory_of(fleet: str) -> Path:
    """Return the directory of a fleet, which may not exist."""
    return cache_root() / "runs" / fleet


def register(fleet: str, *, detached: bool) -> IO[str] | None:
    """Make the fleet's directory, after removing dead fleets; return the lock that marks it as owned.

    Raises FileExistsError when a live fleet has the name.
    """
    with locked():
        _sweep()
        run = directory_of(fleet)
        run.mkdir()
        (run / "boot-id").write_text(_boot_id())
        NSPAWN_RUN.mkdir(parents=True, exist_ok=True)
        _raise_inotify()
        if detached:
            (run / "detached").touch()
            return None
        return _claim(run)


def dismantle(fleet: str) -> None:
    """Remove everything that the fleet is made of; what is gone already is no error.

    The directory goes last, so that whatever interrupts this can be done again.
    """
    with locked():
        _dismantle(directory_of(fleet))


def _sweep() -> None:
    for run in sorted((cache_root() / "runs").iterdir()):
        if run.is_dir() and _is_dead(run):
            _dismantle(run)


def _is_dead(run: Path) -> bool:
    recorded = run / "boot-id"
    if not recorded.exists() or recorded.read_text() != _boot_id():
        return True
    if (run / "detached").exists():
        return False
    claim = _claim(run)
    if claim is not None:
        claim.close()
    return claim is not None


def _claim(run: Path) -> IO[str] | None:
    """Return the locked lock file of the fleet, or None when a live process holds it."""
    handle = (run / "owner").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _dismantle(run: Path) -> None:
    groups = [own / f"kubexms-{run.name}" for own in cgroups.own_directories()]
    cgroups.kill(groups)
    network.delete(run.name)
    for group in groups:
        cgroups.remove(group)
    if run.exists():
        shutil.rmtree(run)
    if not any((cache_root() / "runs").glob("*/")):
        _restore_machine()


def _raise_inotify() -> None:
    current = _INOTIFY.read_text()
    if int(current) < _INOTIFY_NEEDED:
        (cache_root() / "inotify-before").write_text(current)
        _INOTIFY.write_text(str(_INOTIFY_NEEDED))


def _restore_machine() -> None:
    """Undo what fleets share; called when the last one is gone."""
    before = cache_root() / "inotify-before"
    if before.exists():
        _INOTIFY.write_text(before.read_text())
        before.unlink()
    if NSPAWN_RUN.is_dir() and not any(NSPAWN_RUN.iterdir()):
        NSPAWN_RUN.rmdir()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
