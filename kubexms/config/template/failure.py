"""Errors of templates, told in terms of the document or template file they happened in."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

from jinja2.exceptions import SecurityError, TemplateNotFound, TemplateSyntaxError, UndefinedError

from kubexms.config.suggest import did_you_mean
from kubexms.config.template.location import Location
from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.errors import TemplateError

_UNDEFINED = re.compile(r"'([A-Za-z_][A-Za-z0-9_]*)' is undefined")


def failure(
    error: BaseException,
    at: Location,
    base_dir: Path,
    names: tuple[str, ...] = (),
    secret_of: str | None = None,
) -> TemplateError:
    """The error that users see: what happened, in which file and line, and what may have been meant.

    `secret_of` is the text of a template that has read something sensitive: then nothing is quoted
    that is not in that text.
    """
    line, file = _place(error)
    summary, detail = _message(error, names)
    if secret_of is not None and not _is_public(error, summary, secret_of):
        summary, detail = "the template failed on a sensitive value", f"({type(error).__name__})"
    source = _range(at, line, file, base_dir)
    return TemplateError(
        summary, detail=detail, diagnostics=[Diagnostic(Severity.ERROR, summary, detail, source=source)]
    )


def _message(error: BaseException, names: tuple[str, ...]) -> tuple[str, str]:
    if isinstance(error, TemplateNotFound):
        return f"cannot include: {error.message or error.name}", ""
    if isinstance(error, RecursionError):
        return "the template is nested too deeply", ""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    text = text[:1].lower() + text[1:] if isinstance(error, TemplateSyntaxError) else text
    summary, _, rest = text.removesuffix(".").partition(". Did you mean ")
    detail = f"Did you mean {rest}" if rest else ""
    undefined = _UNDEFINED.fullmatch(summary)
    if undefined is not None and not detail:
        detail = did_you_mean(undefined[1], names).removeprefix(". ")
        detail = detail or (f"A template may use: {', '.join(sorted(names))}." if names else "")
    if isinstance(error, TemplateSyntaxError):
        return f"not a valid template: {summary}", detail
    return f"the template failed: {summary}", detail


def _is_public(error: BaseException, summary: str, text: str) -> bool:
    if isinstance(error, (TemplateSyntaxError, TemplateNotFound, SecurityError)):
        return True
    names = re.split(r"[.\[\]]", summary.partition("'")[2].rpartition("'")[0])
    return isinstance(error, UndefinedError) and all(name in text for name in names)


def _place(error: BaseException) -> tuple[int, str | None]:
    """The innermost template line that the error passed, and its file (None: the document's own text)."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno, error.name
    line, file = 1, None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(trace.tb_lineno)
            file = template.name
        trace = trace.tb_next
    return line, file


def _range(at: Location, line: int, file: str | None, base_dir: Path) -> SourceRange | None:
    if file is not None:
        return _file_range(base_dir / file, line)
    if at.file is not None:
        return _file_range(Path(at.file), line)
    return at.locate(at.path, line) if at.locate is not None else None


def _file_range(path: Path, line: int) -> SourceRange:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    snippet = lines[line - 1][:400] if 0 < line <= len(lines) else ""
    column = len(snippet) - len(snippet.lstrip()) + 1
    return SourceRange(str(path), line, column, end_line=line, end_column=len(snippet) + 1, snippet=snippet)
