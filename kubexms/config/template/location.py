"""Where a template stands, and which files it may read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from kubexms.diagnostics import SourceRange
from kubexms.errors import ConfigError

Locate: TypeAlias = Callable[[tuple[str | int, ...], int], SourceRange | None]
"""Where the value at a path was written; the number is the line (from 1) in a text of several lines."""


@dataclass(frozen=True, slots=True)
class Location:
    """The value that is being rendered: a part of a document, or a template file."""

    path: tuple[str | int, ...]
    locate: Locate | None
    file: str | None = None


def find_below(directory: Path, name: str | Path) -> Path:
    """The real path of a file below the directory. Raises `ConfigError` saying why not."""
    base = directory.resolve()
    try:
        path = (base / name).resolve()
        inside = path.is_relative_to(base)
        present = inside and path.is_file()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: {error}") from None
    if not inside:
        raise ConfigError(
            f"{name} is outside of {directory}",
            detail="Templates may only read files below the directory of their document.",
        )
    if not present:
        raise ConfigError(f"there is no file {name} in {directory}")
    return path
