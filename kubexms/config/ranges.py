"""Host ranges: `n[01-30]`, `n[a,b]`, `r[1-3]n[01-10]`."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator

from kubexms.errors import ConfigError

MAX_HOSTS = 10_000
"""The most names that one range may stand for."""

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_SPAN = re.compile(r"([0-9]+)[-:]([0-9]+)")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_HOW = "Write it as n[01-30] or n[a,b]."


def expand_name(name: str) -> list[str]:
    """The names of a range: `n[01-03]` is n01, n02, n03; `[a,b]` a list; several ranges multiply.

    The first number's width is kept. A name without a range stands for itself. Raises `ConfigError`.
    """
    pieces = _RANGE.split(name)
    if any(mark in piece for piece in pieces[::2] for mark in "[],"):
        raise ConfigError(f"the range in '{name}' is not closed", detail=_HOW)
    choices = [list(_members(piece, name)) if index % 2 else [piece] for index, piece in enumerate(pieces)]
    count = math.prod(len(choice) for choice in choices)
    if count > MAX_HOSTS:
        raise ConfigError(
            f"the range '{name}' stands for {count} hosts", detail=f"At most {MAX_HOSTS} are allowed."
        )
    return ["".join(parts) for parts in itertools.product(*choices)]


def _members(text: str, name: str) -> Iterator[str]:
    for part in text.split(","):
        match = _SPAN.fullmatch(part)
        if match is None:
            if not _WORD.fullmatch(part):
                raise ConfigError(f"[{text}] in '{name}' is not a range", detail=_HOW)
            yield part
            continue
        first, last = match[1], match[2]
        if len(first) > 9 or len(last) > 9 or int(last) - int(first) >= MAX_HOSTS:
            raise ConfigError(
                f"the range [{part}] in '{name}' is too long",
                detail=f"At most {MAX_HOSTS} hosts are allowed.",
            )
        if int(last) < int(first):
            raise ConfigError(
                f"the range [{part}] in '{name}' runs backwards", detail=f"Write [{last}-{first}]."
            )
        yield from (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
