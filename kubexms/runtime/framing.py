"""Frames: how a host's answer is told apart from everything else that a channel may carry.

One frame is ``MARKER KIND ARGUMENT... LENGTH\\n``, LENGTH bytes, ``\\n``; with ``~`` for LENGTH the body
ends at the next marker. The marker is 128 random bits made for one channel, so no text on the host can
hold it. Whatever stands between frames (a login banner, the output of a stray child) is skipped.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER_LIMIT = 512
_OPEN_END = b"~"


def new_marker() -> str:
    """A marker that nobody can guess: 32 hexadecimal digits with a prefix."""
    return "kx" + secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its kind (one letter or digit), its arguments, its body."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes


class FrameReader:
    """Cuts a byte stream into frames. Not thread-safe.

    `limit` bounds one body in bytes: a longer one raises `OverflowError`, for it means that the far
    side does not keep to its caps.
    """

    def __init__(self, marker: str, *, limit: int = 64 << 20) -> None:
        self._marker = marker.encode() + b" "
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add bytes; yields every frame that is whole now."""
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        buffer = self._buffer
        while True:
            start = self._find_start()
            if start is None:
                return None
            line_end = buffer.find(b"\n", start, start + _HEADER_LIMIT)
            if line_end < 0:
                if len(buffer) - start < _HEADER_LIMIT:
                    return None
                del buffer[: start + len(self._marker)]
                continue
            words = bytes(buffer[start + len(self._marker) : line_end]).split()
            end = self._body_end(words, line_end + 1)
            if end is None:
                return None
            if end < 0:
                del buffer[: start + len(self._marker)]
                continue
            body = bytes(buffer[line_end + 1 : end])
            # an open-ended body is followed by the next marker, a measured one by a line end
            del buffer[: end if words[-1] == _OPEN_END else end + 1]
            self._searched = 0
            kind, *arguments = (word.decode("utf-8", "replace") for word in words[:-1])
            return Frame(kind, tuple(arguments), body)

    def _find_start(self) -> int | None:
        buffer, marker = self._buffer, self._marker
        start = buffer.find(marker)
        if start < 0:
            # nothing before a possible beginning of the marker is of interest
            del buffer[: max(0, len(buffer) - len(marker) + 1)]
            return None
        if start:
            del buffer[:start]
        return 0

    def _body_end(self, words: list[bytes], begin: int) -> int | None:
        """Where the body ends; None if it is not whole yet, -1 if the header is no header."""
        buffer = self._buffer
        if len(words) < 2:
            return -1
        if words[-1] == _OPEN_END:
            end = buffer.find(self._marker, max(begin, self._searched))
            if end < 0:
                self._searched = max(begin, len(buffer) - len(self._marker) + 1)
                self._check(len(buffer) - begin)
                return None
            return end
        if not words[-1].isdigit():
            return -1
        end = begin + int(words[-1])
        self._check(end - begin)
        return end if len(buffer) > end else None

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise OverflowError(f"a frame of {size} bytes is over the limit of {self._limit}")
