"""A diagnostic as Terraform writes it in JSON: with its range and a snippet."""

from __future__ import annotations

from pydantic import JsonValue

from kubexms.diagnostics import Diagnostic


def diagnostic_data(diagnostic: Diagnostic) -> dict[str, JsonValue]:
    """A diagnostic with its range and snippet, as Terraform writes it."""
    data: dict[str, JsonValue] = {
        "severity": diagnostic.severity.value,
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
    }
    if diagnostic.address is not None:
        data["address"] = diagnostic.address
    source = diagnostic.source
    if source is None:
        return data
    end_line = source.end_line or source.line
    end_column = source.end_column or source.column
    end_byte = source.end_byte or source.byte
    data["range"] = {
        "filename": source.filename,
        "start": {"line": source.line, "column": source.column, "byte": source.byte},
        "end": {"line": end_line, "column": end_column, "byte": end_byte},
    }
    if source.snippet:
        stop = end_column - 1 if end_line == source.line else len(source.snippet)
        data["snippet"] = {
            "context": diagnostic.path or None,
            "code": source.snippet,
            "start_line": source.line,
            "highlight_start_offset": source.column - 1,
            "highlight_end_offset": max(source.column - 1, stop),
            "values": [],
        }
    return data
