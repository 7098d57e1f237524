"""Libraries that come with an extra: imported when first used, and explained where they are missing."""

from __future__ import annotations

from kubexms.errors import OutputError


def missing(what: str, extra: str, error: ImportError) -> OutputError:
    """What to install."""
    return OutputError(
        f"{what} needs {error.name}, which is not installed",
        detail=f"Install it with the extra: pip install 'kubexms[{extra}]'.",
    )
