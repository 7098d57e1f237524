"""Text for a POSIX shell: quoting, and the shell files that ship with this package."""

from __future__ import annotations

from functools import cache
from importlib import resources


def quote(text: str) -> str:
    """`text` as one shell word, in single quotes. Raises `ValueError` if it holds a NUL."""
    if "\0" in text:
        raise ValueError("shell text cannot hold a NUL byte")
    return "'" + text.replace("'", "'\\''") + "'"


def quote_bytes(data: bytes) -> bytes:
    """Bytes as one shell word, in single quotes. Raises `ValueError` if they hold a NUL."""
    if b"\0" in data:
        raise ValueError("shell text cannot hold a NUL byte")
    return b"'" + data.replace(b"'", b"'\\''") + b"'"


@cache
def shell_source(name: str) -> str:
    """A shell file of this package without its comment lines: less to send, nothing to run.

    None of the files has a heredoc or a `#` at the start of a line within a quoted text.
    """
    text = resources.files("kubexms.runtime").joinpath("shell", name).read_text("utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#")) + "\n"
