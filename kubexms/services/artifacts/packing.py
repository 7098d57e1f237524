"""One file of a directory of artifacts, to be carried to where there is no network."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

from kubexms.config.artifacts import MANIFEST, ArtifactSet
from kubexms.config.problems import failed
from kubexms.errors import ConfigError
from kubexms.services.artifacts.checking import check


def pack(artifacts: ArtifactSet, out: Path, *, packed: Callable[[str], None] = lambda name: None) -> int:
    """Check every file, write an uncompressed tar of manifest and files, and return its size in bytes.

    The same artifacts give the same bytes: sorted names, no times and no owners. Files that no entry
    names stay behind. Raises `ConfigError` for a file that is not what the manifest says, and when
    `out` exists or cannot be written; nothing is left of a pack that broke.
    """
    problems = [finding.problem for finding in check(artifacts)[0] if finding.problem is not None]
    if len(problems) == 1:
        raise failed(problems[0])
    if problems:
        raise ConfigError(problems[0].summary, diagnostics=problems)
    fresh = out.with_name(f".{out.name}.new")
    try:
        if out.exists():
            raise ConfigError(f"{out} is there already", detail="Remove it, or choose another name.")
        with tarfile.open(fresh, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in (MANIFEST, *sorted({artifact.file for artifact in artifacts.entries})):
                archive.add(artifacts.directory / name, name, recursive=False, filter=_plain)
                packed(name)
        fresh.replace(out)
        return out.stat().st_size
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
