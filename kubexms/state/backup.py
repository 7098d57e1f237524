"""Copies of a state file, made before each locked session; the last ten are kept."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from kubexms.errors import StateError

KEPT = 10


def back_up(path: Path, *, now: datetime | None = None) -> Path:
    """Copy a state file, consistently and atomically, to `backups/` beside it. Raises `StateError`."""
    directory = path.parent / "backups"
    moment = now or datetime.now(UTC)
    target = directory / f"{path.stem}.{moment:%Y%m%dT%H%M%S.%f}.db"
    temporary = target.with_suffix(".tmp")
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with (
            contextlib.closing(sqlite3.connect(path)) as source,
            contextlib.closing(sqlite3.connect(temporary)) as copy,
        ):
            source.backup(copy)
        temporary.replace(target)
        for old in sorted(directory.glob(f"{path.stem}.*.db"))[:-KEPT]:
            old.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        temporary.unlink(missing_ok=True)
        raise StateError(
            f"cannot back up the state to {directory}: {error}", detail="Nothing was changed."
        ) from error
    return target
