"""Where in a document something is wrong, also if what is wrong is a default that nobody wrote."""

from __future__ import annotations

from dataclasses import replace

from kubexms.config.documents import Building
from kubexms.config.yaml import Path
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.spec.inventory import Host


def wrong(building: Building, path: Path, summary: str, detail: str = "", *, key: bool = False) -> Diagnostic:
    """An error at this field; where it is not written, at the name of what it would be in."""
    written = path
    while written and written not in building.document.spans:
        written = written[:-1]
    return building.document.error(written, summary, detail, key=key or written != path)


def host_wrong(building: Building, host: Host, summary: str, detail: str) -> Diagnostic:
    """An error where this host is listed, in whichever document."""
    place = building.host_place(host.name)
    diagnostic = wrong(building, ("spec", "hosts"), summary, detail)
    return (
        diagnostic if place is None else replace(diagnostic, source=place, path="", severity=Severity.ERROR)
    )
