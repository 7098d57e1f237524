"""The outcome of `validate`: Terraform's sentence, or its JSON."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.views.diagnostic_json import diagnostic_data
from kubexms.views.paint import Paint, Role, plain


def valid_text(warnings: int, paint: Paint = plain) -> str:
    """`Success! The configuration is valid.`"""
    tail = ", but there were some validation warnings as shown above." if warnings else "."
    return f"{paint(Role.GOOD, 'Success!')} The configuration is valid{tail}\n"


def validation_json(diagnostics: Sequence[Diagnostic]) -> dict[str, JsonValue]:
    """Terraform's `validate -json`, format 1.0."""
    errors = sum(item.severity is Severity.ERROR for item in diagnostics)
    return {
        "format_version": "1.0",
        "valid": not errors,
        "error_count": errors,
        "warning_count": len(diagnostics) - errors,
        "diagnostics": [diagnostic_data(item) for item in diagnostics],
    }
