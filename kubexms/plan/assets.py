"""Digests of controller files, large ones kept from run to run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import JsonValue

from kubexms.errors import ConfigError
from kubexms.spec.asset import Asset

_LARGE = 8 << 20
"""Bytes from which on a digest is kept: smaller files are read as quickly as it is found."""
_SETTLED = 2_000_000_000
"""Nanoseconds since a file's last change after which another change has another time on every file system."""
_MOST = 1000
"""Digests that are kept."""


def cache_file(environ: Mapping[str, str]) -> Path | None:
    """Where digests are kept: below `$XDG_CACHE_HOME`, or `~/.cache`; None without a home."""
    cache, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    if not cache.startswith("/") and not home.startswith("/"):
        return None
    base = Path(cache) if cache.startswith("/") else Path(home) / ".cache"
    return base / "kubexms" / "digests.json"


class Assets:
    """Digests of controller files, each file looked at once per run. Not thread-safe.

    A large file is read again only when its inode, its size or one of its change times is another than when
    it was read last, by whichever run of this user. What arrives on a host is compared with the digest there.
    """

    def __init__(self, kept: Path | None = None, *, clock: Callable[[], int] = time.time_ns) -> None:
        """`kept`: the file in which digests are kept, None: nowhere; what is wrong with it is no error."""
        self._known: dict[Path, Asset] = {}
        self._kept, self._clock = kept, clock
        self._digests: dict[str, JsonValue] | None = None

    def get(self, base: Path, name: str) -> Asset:
        """The asset for a path relative to `base`. Raises `ConfigError` if it cannot be read."""
        path = (base / Path(name).expanduser()).resolve()
        if path not in self._known:
            try:
                self._known[path] = self._look(path)
            except OSError as error:
                raise ConfigError(
                    f"cannot read the controller file {path}: {error.strerror}",
                    detail="Paths in a step are relative to the directory of its document.",
                ) from error
        return self._known[path]

    def _look(self, path: Path) -> Asset:
        with path.open("rb") as stream:
            before = os.fstat(stream.fileno())
            stamp = _stamp(before)
            known = self._recalled(path, stamp) if before.st_size >= _LARGE else None
            if known is not None:
                return Asset(path=str(path), sha256=known, size=before.st_size)
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
            after = os.fstat(stream.fileno())
        settled = max(after.st_ctime_ns, after.st_mtime_ns) < self._clock() - _SETTLED
        if size >= _LARGE and settled and _stamp(after) == stamp:
            self._keep(path, [stamp, sha256])
        return Asset(path=str(path), sha256=sha256, size=size)

    def _recalled(self, path: Path, stamp: str) -> str | None:
        match self._all().get(str(path)):
            case [there, str(digest)] if there == stamp and re.fullmatch("[0-9a-f]{64}", digest):
                return digest
        return None

    def _all(self) -> dict[str, JsonValue]:
        if self._digests is None:
            self._digests = {}
            if self._kept is not None:
                with contextlib.suppress(OSError, ValueError):
                    found = json.loads(self._kept.read_text(encoding="utf-8"))
                    self._digests = found if isinstance(found, dict) else {}
        return self._digests

    def _keep(self, path: Path, what: list[JsonValue]) -> None:
        """Write all anew, at once: another run may read meanwhile. The last that were looked at stay."""
        if self._kept is None:
            return
        known = {name: value for name, value in self._all().items() if name != str(path)}
        self._digests = dict([*known.items(), (str(path), what)][-_MOST:])
        new = self._kept.with_name(f"{self._kept.name}.{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(self._digests, file)
                new.replace(self._kept)
            finally:
                new.unlink(missing_ok=True)


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_dev}/{found.st_ino}/{found.st_size}/{found.st_mtime_ns}/{found.st_ctime_ns}"
