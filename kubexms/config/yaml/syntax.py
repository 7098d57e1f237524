"""What is wrong with text that is no YAML: where that begins, and what to do about it."""

from __future__ import annotations

import yaml

from kubexms.config.yaml.source import SourceText
from kubexms.errors import ConfigError

_BRACES = "A value that starts with '{{' must be quoted."
_CLOSING = {"[": "]", "{": "}"}


def syntax_error(source: SourceText, error: yaml.YAMLError) -> ConfigError:
    """The error to raise for what PyYAML (libyaml's parser) says of a source."""
    offset = _offset(getattr(error, "problem_mark", None), int(getattr(error, "position", 0)))
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable")
    context = str(getattr(error, "context", None) or "")
    opened = _offset(getattr(error, "context_mark", None), offset)
    line, _ = source.position(offset)
    text = source.line(line)
    if "\t" in text[: len(text) - len(text.lstrip())]:
        return source.error("a tab indents this line", "YAML is indented by spaces only.", offset)
    if "parsing a flow" in context and source.text[opened : opened + 1] in _CLOSING:
        return _unclosed(source, opened, offset)
    if "quoted scalar" in context and "end of stream" in problem:
        detail = "The text that it begins goes on to the end of the file: close it with the same quote."
        return source.error("this quote is not closed", detail, opened, opened + 1)
    if "could not find expected ':'" in problem:
        detail = "It is no `key: value`. If it belongs to the text above, indent it as that is."
        return source.error("not valid YAML", detail, opened)
    return source.error("not valid YAML", _advice(source, problem, opened, offset, text), offset)


def _unclosed(source: SourceText, opened: int, offset: int) -> ConfigError:
    bracket = source.text[opened]
    if source.text[opened : opened + 2] == "{{":
        return source.error("not valid YAML", _BRACES, opened)
    found = source.text[offset : offset + 1]
    if found.strip():
        line, column = source.position(offset)
        detail = f"Line {line}, column {column} has {found!r} where ',' or '{_CLOSING[bracket]}' is expected."
    else:
        detail = f"The file ends where ',' or '{_CLOSING[bracket]}' is expected."
    return source.error(f"this '{bracket}' is not closed", detail, opened, opened + 1)


def _advice(source: SourceText, problem: str, opened: int, offset: int, text: str) -> str:
    _, column = source.position(offset)
    before, found = text[: column - 1], source.text[offset : offset + 1]
    first, left = source.position(opened)
    if "mapping values are not allowed" in problem:
        return "A value that holds ': ' must be quoted, or this line is indented too far."
    if "that cannot start any token" in problem:
        return "A value that starts with this character must be quoted."
    if "unknown escape" in problem:
        return "In double quotes a backslash begins an escape: write two of them, or use single quotes."
    if text.lstrip().partition(": ")[2].startswith("{{"):
        return _BRACES
    if found and found in "]}":
        return f"Nothing is open here that '{found}' would close: take it out, or quote the value."
    if before.rstrip().endswith(("'", '"')):
        return "The value goes on after its closing quote: quote all of it, and double a ' inside of '...'."
    if before.strip() == "" and "expected key" in problem:
        return f"Its indentation is not that of the mapping which begins in line {first}, column {left}."
    if before.strip() == "" and "'-' indicator" in problem:
        return f"It is indented as the list which begins in line {first}, whose entries begin with '- '."
    return f"YAML {problem}."


def _offset(mark: object, otherwise: int) -> int:
    return otherwise if mark is None else int(getattr(mark, "index", otherwise))
