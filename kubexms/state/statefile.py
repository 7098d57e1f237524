"""What readers and writers of a state file ask of it first, and what to say of one that cannot be used."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from kubexms.errors import StateError, StateVersionError
from kubexms.state.model import STATE_VERSION

BUSY_SECONDS = 30.0
"""How long a statement waits for another process that holds the file."""


def values_of(connection: sqlite3.Connection, path: Path) -> Mapping[str, str]:
    """The table `meta`. Raises `StateError` where it is missing: the file was cut short or is another's."""
    try:
        found = dict(connection.execute("SELECT name, value FROM meta"))
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        found = {}
    if not found.keys() >= {"version", "lineage", "serial", "key"}:
        raise damaged(path, "it holds no state")
    return found


def damaged(path: Path, said: str) -> StateError:
    """What to do about a file that cannot be read."""
    return StateError(
        f"the state {path} is damaged: {said}",
        detail=f"Nothing was overwritten. The last copies are in {path.parent / 'backups'}: "
        "put the newest good one in its place.",
    )


def trouble(path: Path, error: sqlite3.Error | OSError) -> StateError:
    """What the database says, turned into what a user can act on."""
    said = str(error) if isinstance(error, sqlite3.Error) else str(error.strerror)
    if "not a database" in said or "malformed" in said:
        return damaged(path, said)
    return StateError(f"cannot use the state {path}: {said}", detail="Is the disk full, or read-only?")


def check_version(path: Path, version: int) -> None:
    """Raises `StateVersionError` for a file that a newer kubexms wrote."""
    if version > STATE_VERSION:
        raise StateVersionError(
            f"the state {path} has version {version}, and this kubexms knows versions up to {STATE_VERSION}",
            detail="It was written by a newer kubexms: use that one. Nothing was changed.",
        )
