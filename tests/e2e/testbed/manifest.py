"""What a host wrote: the listing of the upper directory of its overlay root.

The kernel puts a file there when a host creates it, opens it for writing, or changes its metadata, and
nothing else does: two equal listings are the proof that nothing was written between them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

# What every boot, login and sudo writes: logs, session accounting, clocks, the host's own identity
VOLATILE = (
    "var/log/*",
    "var/lib/systemd/*",
    "var/lib/sudo/*",
    "var/lib/private/*",
    "var/cache/ldconfig/*",
    "var/lib/dbus/machine-id",
    "var/tmp/systemd-private-*",
    "etc/machine-id",
    "etc/.pwd.lock",
)


@dataclass(frozen=True, order=True)
class Entry:
    """One file, directory, link or node. `content` is a SHA-256, a link's target or a node's numbers.

    `ctime_ns` moves with every write, also one that puts back the same bytes; for directories it is 0,
    since an excluded file may come and go in them.
    """

    path: str
    type: str
    mode: str
    owner: str
    content: str
    ctime_ns: int


def listing(top: Path, *, exclude: Iterable[str] = VOLATILE) -> tuple[Entry, ...]:
    """List everything below `top`, sorted by path; patterns in `exclude` match whole relative paths.

    An entry of type "whiteout" is something of the lower layer that was deleted.
    """
    patterns = tuple(exclude)
    found: list[Entry] = []

    def visit(directory: Path) -> None:
        with os.scandir(directory) as entries:
            for entry in entries:
                path = Path(entry.path)
                relative = str(path.relative_to(top))
                if any(fnmatchcase(relative, pattern) for pattern in patterns):
                    continue
                try:
                    found.append(_entry(path, relative))
                    if entry.is_dir(follow_symlinks=False):
                        visit(path)
                except FileNotFoundError:  # gone while we looked
                    continue

    visit(top)
    return tuple(sorted(found))


def _entry(path: Path, relative: str) -> Entry:
    info = path.lstat()
    kind, content = "other", ""
    if stat.S_ISREG(info.st_mode):
        kind, content = "file", hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISDIR(info.st_mode):
        kind = "directory"
    elif stat.S_ISLNK(info.st_mode):
        kind, content = "link", str(path.readlink())
    elif stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        kind = "whiteout"
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        kind, content = "device", f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    return Entry(
        path=relative,
        type=kind,
        mode=f"{stat.S_IMODE(info.st_mode):04o}",
        owner=f"{info.st_uid}:{info.st_gid}",
        content=content,
        ctime_ns=0 if kind == "directory" else info.st_ctime_ns,
    )
