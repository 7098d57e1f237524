"""known_hosts files: plain, hashed and wildcard names, certificate authorities, revoked keys.

Format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". A file is parsed once per process and version of the file.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hmac
import os
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

_HASH = "|1|"
_append_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Line:
    marker: str
    patterns: tuple[str, ...]
    key_type: str
    blob: bytes


@dataclass(slots=True)
class _File:
    plain: dict[str, list[_Line]] = field(default_factory=dict)
    others: list[_Line] = field(default_factory=list)
    """Hashed names and wildcards: tried one after the other."""


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What the files say about one name: public key blobs."""

    keys: tuple[tuple[str, bytes], ...]
    """(key type, blob)."""
    authorities: frozenset[bytes]
    revoked: frozenset[bytes]


def known_keys(files: Iterable[Path], name: str) -> KnownKeys:
    """What `files` say about `name` (``host``, or ``[host]:port``). Missing files say nothing."""
    keys: list[tuple[str, bytes]] = []
    authorities: set[bytes] = set()
    revoked: set[bytes] = set()
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            continue
        parsed = _read(path, stat.st_mtime_ns, stat.st_size)
        lines = parsed.plain.get(name, [])
        lines = lines + [line for line in parsed.others if _applies(line.patterns, name)]
        for line in lines:
            if line.marker == "@cert-authority":
                authorities.add(line.blob)
            elif line.marker == "@revoked":
                revoked.add(line.blob)
            elif not line.marker:
                keys.append((line.key_type, line.blob))
    return KnownKeys(tuple(keys), frozenset(authorities), frozenset(revoked))


def remember(path: Path, name: str, key_type: str, blob: bytes, *, hashed: bool) -> None:
    """Add a key to a file, as one line written at once. Thread-safe. Raises `OSError`."""
    shown = hash_name(name) if hashed else name
    line = f"{shown} {key_type} {base64.b64encode(blob).decode()}\n".encode()
    with _append_lock:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def hash_name(name: str, salt: bytes | None = None) -> str:
    """A name as ``HashKnownHosts`` writes it."""
    salt = secrets.token_bytes(20) if salt is None else salt
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"{_HASH}{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@lru_cache(maxsize=32)
def _read(path: Path, mtime: int, size: int) -> _File:  # noqa: ARG001
    result = _File()
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return result
    for raw in text.splitlines():
        line = _parse(raw)
        if line is None:
            continue
        if any(p.startswith(_HASH) or any(c in p for c in "*?!") for p in line.patterns):
            result.others.append(line)
        else:
            for name in line.patterns:
                result.plain.setdefault(name.lower(), []).append(line)
    return result


def _parse(raw: str) -> _Line | None:
    words = raw.split()
    if not words or words[0].startswith("#"):
        return None
    marker = words.pop(0) if words[0].startswith("@") else ""
    if len(words) < 3:
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return _Line(marker, tuple(words[0].split(",")), words[1], blob)


def _applies(patterns: tuple[str, ...], name: str) -> bool:
    matched = False
    for pattern in patterns:
        if pattern.startswith(_HASH):
            matched = matched or _is_hash_of(pattern, name)
        elif fnmatch.fnmatchcase(name, pattern.lstrip("!").lower().replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _is_hash_of(pattern: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in pattern[len(_HASH) :].split("|"))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)
