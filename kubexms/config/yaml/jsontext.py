"""JSON (RFC 8259) with positions: strict, duplicate names are errors."""

from __future__ import annotations

import math
import re
from json import JSONDecodeError, JSONDecoder

from kubexms.config.yaml.document import Document, Path, Span
from kubexms.config.yaml.nodes import MAX_DEPTH
from kubexms.config.yaml.source import SourceText
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError
from kubexms.spec.base import Json

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,300})(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DECODER = JSONDecoder()
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}


def parse_json(source: SourceText) -> Document:
    """The document. Raises `ConfigError`."""
    parser = _Parser(source)
    value = parser.whole()
    document = Document(source, value, parser.spans)
    if parser.duplicates:
        errors: list[Diagnostic] = [
            document.error(path, f"duplicate key '{path[-1]}'", "Keep one.", key=True)
            for path in parser.duplicates
        ]
        raise ConfigError(errors[0].summary, detail=errors[0].detail, diagnostics=errors)
    return document


class _Parser:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._text = source.text
        self._at = 0
        self.spans: dict[Path, Span] = {}
        self.duplicates: list[Path] = []

    def whole(self) -> Json:
        """The one value of the text."""
        value = self._value((), None)
        self._skip()
        if self._at < len(self._text):
            raise self._error("something follows the end of the value")
        return value

    def _error(self, detail: str) -> ConfigError:
        return self._source.error("not valid JSON", detail[:1].upper() + detail[1:] + ".", self._at)

    def _skip(self) -> str:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _value(self, path: Path, key: Span | None) -> Json:
        if len(path) > MAX_DEPTH:
            raise self._source.error("nested too deeply", f"At most {MAX_DEPTH} levels.", self._at)
        first = self._skip()
        start = self._at
        if first == "{":
            value: Json = self._object(path)
        elif first == "[":
            value = self._array(path)
        elif first == '"':
            value = self._string()
        else:
            value = self._word()
        ends = (key.start, key.end) if key is not None else (-1, -1)
        self.spans[path] = Span(start, self._at, *ends)
        return value

    def _string(self) -> str:
        try:
            decoded, self._at = _DECODER.raw_decode(self._text, self._at)
        except JSONDecodeError as error:
            self._at = error.pos
            raise self._error(error.msg) from None
        value = str(decoded)
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise self._error("half a surrogate pair is no character")
        return value

    def _word(self) -> Json:
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            raise self._error("a value is expected here")
        number = float(match[0]) if match[1] or match[2] else int(match[0])
        if not math.isfinite(number):
            raise self._error("the number is too large")
        self._at = match.end()
        return number

    def _array(self, path: Path) -> Json:
        self._at += 1
        items: list[Json] = []
        if self._skip() == "]":
            self._at += 1
            return items
        while True:
            items.append(self._value((*path, len(items)), None))
            if self._separator("]"):
                return items

    def _object(self, path: Path) -> Json:
        self._at += 1
        entries: dict[str, Json] = {}
        if self._skip() == "}":
            self._at += 1
            return entries
        while True:
            if self._skip() != '"':
                raise self._error("a quoted name is expected here")
            start = self._at
            name = self._string()
            key = Span(start, self._at)
            if self._skip() != ":":
                raise self._error("a ':' is expected here")
            self._at += 1
            twice = name in entries
            entries[name] = self._value((*path, name), key)
            if twice:
                self.duplicates.append((*path, name))
            if self._separator("}"):
                return entries

    def _separator(self, end: str) -> bool:
        found = self._skip()
        if found not in (",", end) or not found:
            raise self._error(f"a ',' or '{end}' is expected here")
        self._at += 1
        return found == end
