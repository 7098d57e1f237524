"""ssh_config files as data: directives with the conditions under which they hold, includes resolved.

After ssh_config(5). A file is parsed once per process and version of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kubexms.errors import ConfigError

_WORD = re.compile(r'"([^"]*)"|(\S+)')
_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Condition:
    """A ``Host`` or ``Match`` line: `kind` is ``host`` or ``match``, `words` what follows."""

    kind: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Directive:
    """One setting; it counts if all conditions hold. `key` is in lower case."""

    conditions: tuple[Condition, ...]
    key: str
    words: tuple[str, ...]
    rest: str
    """Everything after the keyword, for commands."""


def read_config(path: Path, *, base: Path) -> tuple[Directive, ...]:
    """All directives of a file, in order; none if there is no such file.

    `base` is where relative includes start. Raises `ConfigError` for a line that is not understood.
    """
    try:
        stat = path.stat()
    except OSError:
        return ()
    return _read_version(path, base, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _read_version(path: Path, base: Path, mtime: int, size: int) -> tuple[Directive, ...]:  # noqa: ARG001
    return tuple(_parse(path, base, (), 0))


def _parse(path: Path, base: Path, outer: tuple[Condition, ...], depth: int) -> Iterator[Directive]:
    if depth > _DEPTH:
        raise ConfigError(f"{path}: includes are nested deeper than {_DEPTH}")
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        if depth:
            return
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    conditions = outer
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, rest = _keyword(line)
        words = _words(rest)
        if not words:
            raise ConfigError(f"{path}, line {number}: {key} needs a value")
        if key in ("host", "match"):
            conditions = (*outer, Condition(key, words))
        elif key == "include":
            for pattern in words:
                for included in _included(pattern, base):
                    yield from _parse(included, base, conditions, depth + 1)
        else:
            yield Directive(conditions, key, words, rest)


def _keyword(line: str) -> tuple[str, str]:
    """``Key value``, ``Key=value`` and ``Key = value``."""
    match = re.match(r"([^\s=\"]+)\s*=?\s*(.*)", line)
    if match is None:
        return line.lower(), ""
    return match[1].lower(), match[2]


def _words(text: str) -> tuple[str, ...]:
    words: list[str] = []
    for quoted, plain in _WORD.findall(text):
        if plain.startswith("#"):
            break
        words.append(plain or quoted)
    return tuple(words)


def _included(pattern: str, base: Path) -> list[Path]:
    path = Path(pattern).expanduser()
    if not path.is_absolute():
        path = base / path
    anchor = Path(path.anchor)
    return sorted(anchor.glob(str(path.relative_to(anchor))))
