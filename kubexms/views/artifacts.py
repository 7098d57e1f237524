"""Artifacts: what a directory holds, and whether its files are what the manifest says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import JsonValue

from kubexms.spec.artifacts import Artifact
from kubexms.views.escaping import printable
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.tables import table_lines


class FindingView(Protocol):
    """One entry and what became of its file."""

    @property
    def artifact(self) -> Artifact | None: ...
    @property
    def file(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def verdict(self) -> str: ...


def artifacts_text(entries: Sequence[Artifact], paint: Paint = plain) -> str:
    """A table of entries in the manifest's order."""
    head = ("NAME", "VERSION", "ARCH", "KIND", "SHA256", "FILE")
    rows = [
        (entry.name, entry.version, entry.arch, entry.kind, entry.sha256[:12], entry.file)
        for entry in entries
    ]
    return "".join(f"{line}\n" for line in table_lines(head, rows, paint))


def artifacts_json(entries: Sequence[Artifact]) -> JsonValue:
    """The same in full."""
    return [{**entry.to_json(), "arch": entry.arch} for entry in entries]


def verified_text(findings: Sequence[FindingView], extra: Sequence[str], paint: Paint = plain) -> str:
    """A line per file, and what it comes to."""
    head = ("FILE", "NAME", "VERSION", "SIZE", "")
    rows = [
        (
            finding.file,
            finding.artifact.name if finding.artifact else "-",
            finding.artifact.version if finding.artifact else "-",
            size_text(finding.size) if finding.size else "-",
            finding.verdict,
        )
        for finding in findings
    ]
    lines = [f"{line}\n" for line in table_lines(head, rows, paint)] if rows else []
    if extra:
        lines.append(f"\n{_count(len(extra), 'file')} that the manifest does not name:\n")
        lines += [f"  {printable(name)}\n" for name in extra]
    bad = sum(finding.verdict != "good" for finding in findings)
    total = size_text(sum(finding.size for finding in findings))
    good = _count(len(findings) - bad, "artifact")
    said = (
        f"{good} good, {total}."
        if not bad
        else f"{bad} of {_count(len(findings), 'artifact')} not as listed."
    )
    lines.append(f"\n{paint(Role.ERROR if bad else Role.GOOD, said)}\n")
    return "".join(lines)


def verified_json(findings: Sequence[FindingView], extra: Sequence[str]) -> JsonValue:
    """The same for programs."""
    return {
        "artifacts": [
            {
                "name": finding.artifact.name if finding.artifact else None,
                "version": finding.artifact.version if finding.artifact else None,
                "file": finding.file,
                "size": finding.size,
                "verdict": str(finding.verdict),
            }
            for finding in findings
        ],
        "unlisted": list(extra),
        "valid": all(finding.verdict == "good" for finding in findings),
    }


def size_text(size: int) -> str:
    """Bytes for a person, in powers of 1024."""
    if size < 1024:
        return f"{size} B"
    amount = size / 1024
    for unit in ("KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
