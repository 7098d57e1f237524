"""Quoting for the POSIX sh that kinds write."""

from __future__ import annotations

import shlex


def quote(text: str) -> str:
    """`text` as one shell word, whatever it holds. Raises `ValueError` for NUL, which no shell can carry."""
    if "\0" in text:
        raise ValueError("a NUL character cannot be passed to a shell")
    return shlex.quote(text)


def words(texts: list[str] | tuple[str, ...]) -> str:
    """Several quoted words."""
    return " ".join(quote(text) for text in texts)
