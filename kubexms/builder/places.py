"""Where in a document something is wrong, also if what is wrong is a default that nobody wrote."""

from __future__ import annotations

from kubexms.config.documents import Building
from kubexms.config.yaml import Path
from kubexms.diagnostics import Diagnostic


def wrong(building: Building, path: Path, summary: str, detail: str = "", *, key: bool = False) -> Diagnostic:
    """An error at this field; where it is not written, at the name of what it would be in."""
    written = path
    while written and written not in building.document.spans:
        written = written[:-1]
    return building.document.error(written, summary, detail, key=key or written != path)
