"""Directories of artifacts that a test adds its own to."""

from __future__ import annotations

import shutil
from pathlib import Path


def copied(artifacts: Path, to: Path) -> Path:
    """The same directory, with a manifest of its own; programs and images are not written twice."""
    shutil.copytree(artifacts, to, copy_function=_link)
    return to


def _link(source: str, target: str) -> str:
    if source.endswith(".yaml"):
        shutil.copy2(source, target)
    else:
        Path(target).symlink_to(source)
    return target
