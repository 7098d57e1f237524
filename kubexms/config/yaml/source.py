"""The text of one file, and where an offset in it is."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from functools import cached_property

from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.errors import ConfigError

MAX_BYTES = 16 << 20
"""The longest document file that is read."""

MAX_SNIPPET = 400
"""The longest source line that is shown."""

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class SourceText:
    """A decoded file. Offsets are in characters; lines end as editors count them (LF, CR LF, CR)."""

    filename: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        line = bisect.bisect_right(self._starts, offset) - 1
        return line + 1, offset - self._starts[line] + 1

    def line(self, number: int) -> str:
        """The line with this number (from 1), without its end; empty if there is none."""
        if not 1 <= number <= len(self._starts):
            return ""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")[:MAX_SNIPPET]

    def range(self, start: int, end: int, *, show: bool = True) -> SourceRange:
        """The half-open stretch of characters as a range; without its text unless `show`."""
        start = min(max(start, 0), len(self.text))
        end = min(max(end, start), len(self.text))
        line, column = self.position(start)
        end_line, end_column = self.position(end)
        first = self._byte(start)
        return SourceRange(
            filename=self.filename,
            line=line,
            column=column,
            byte=first,
            end_line=end_line,
            end_column=end_column,
            end_byte=first + len(self.text[start:end].encode("utf-8", "surrogatepass")),
            snippet=self.line(line) if show else "",
        )

    def _byte(self, offset: int) -> int:
        if self.text.isascii():
            return offset
        return len(self.text[:offset].encode("utf-8", "surrogatepass"))

    def error(self, summary: str, detail: str, start: int, end: int | None = None) -> ConfigError:
        """An error about this place."""
        place = self.range(start, start + 1 if end is None else end)
        return ConfigError(
            summary, detail=detail, diagnostics=[Diagnostic(Severity.ERROR, summary, detail, source=place)]
        )


def decode(data: bytes, filename: str) -> SourceText:
    """The text of a file: UTF-8, a byte order mark allowed. Raises `ConfigError`."""
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{filename} is too large ({len(data)} bytes)", detail=f"At most {MAX_BYTES} bytes are read."
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _not_text(filename, 0, "It starts like UTF-16; save it as UTF-8.", b"")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_text(filename, error.start, "Save the file as UTF-8.", data) from None
    return SourceText(filename, text.removeprefix("\ufeff"))


def _not_text(filename: str, offset: int, detail: str, data: bytes) -> ConfigError:
    before = data[:offset].decode("utf-8", "replace")
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    summary = f"{filename} is not UTF-8 text"
    place = SourceRange(filename, line, column, offset)
    return ConfigError(
        summary, detail=detail, diagnostics=[Diagnostic(Severity.ERROR, summary, detail, source=place)]
    )
