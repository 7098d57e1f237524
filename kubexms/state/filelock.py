"""The lock on a state: an operating-system file lock, free on the death of its holder."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from kubexms.errors import StateError, StateLocked
from kubexms.state.model import LockInfo

_POLL = 0.2


@contextmanager
def hold(
    path: Path,
    info: LockInfo,
    *,
    timeout: float,
    waiting: Callable[[LockInfo], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Hold the lock file. Waits up to `timeout` seconds, telling `waiting` once for whom.

    Raises `StateLocked` with the holder, and `StateError` where no lock file can be made.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"cannot lock the state: {path}: {error.strerror}") from error
    try:
        deadline = clock() + timeout
        told = False
        while not _try(handle):
            holder = holder_of(path)
            if clock() >= deadline:
                raise StateLocked(_sentence(holder), detail=_advice(holder))
            if not told and waiting is not None and holder is not None:
                waiting(holder)
                told = True
            sleep(_POLL)
        os.ftruncate(handle, 0)
        os.pwrite(handle, info.model_dump_json(by_alias=True).encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder_of(path: Path) -> LockInfo | None:
    """Who wrote itself into the lock file, or None if that cannot be read."""
    try:
        return LockInfo.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def living_holder(path: Path) -> LockInfo | None:
    """The holder, unless its process is known to have ended; never tries for the lock itself.

    A process of another machine (the directory is shared) counts as alive.
    """
    holder = holder_of(path)
    if holder is None or holder.who.rpartition("@")[2] != socket.gethostname():
        return holder
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return holder
    return holder if holder.pid > 0 else None


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sentence(holder: LockInfo | None) -> str:
    if holder is None:
        return "the state is locked by another run"
    since = f"{holder.created:%Y-%m-%d %H:%M:%S %Z}"
    return f"the state is locked by {holder.who} since {since} for {holder.operation}"


def _advice(holder: LockInfo | None) -> str:
    known = f" (process {holder.pid}, lock {holder.id})" if holder is not None else ""
    return (
        f"Wait for it{known}, or let kubexms wait with --lock-timeout. "
        "The lock is free as soon as that process ends."
    )
