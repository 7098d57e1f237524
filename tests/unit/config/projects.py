"""Loading what a test writes, and problems as text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kubexms.config.beforehand import HostsKnown
from kubexms.config.commands import RunCommand
from kubexms.config.project import LoadedProject, load_project
from kubexms.diagnostics import Diagnostic
from kubexms.runtime.local_command import CompletedResult
from kubexms.step.registry import default_registry

NOW = datetime(2026, 1, 1, tzinfo=UTC)

INVENTORY = """\
apiVersion: kubexms.io/v1alpha1
kind: Inventory
metadata: {name: hosts}
spec:
  hosts:
    - {name: "n[1-2]", roles: [node]}
"""


class Commands:
    """Answers commands from a table and remembers what was asked."""

    def __init__(self, answers: Mapping[str, CompletedResult | bytes] | None = None) -> None:
        self._answers = dict(answers or {})
        self.asked: list[tuple[tuple[str, ...], str | None]] = []

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
    ) -> CompletedResult:
        self.asked.append((tuple(argv), directory))
        answer = self._answers.get(argv[0], CompletedResult(127, b"", b"not found"))
        return CompletedResult(0, answer, b"") if isinstance(answer, bytes) else answer


def pipeline(tasks: str, head: str = "") -> str:
    """A Pipeline document with one module `os` of these tasks."""
    return (
        "apiVersion: kubexms.io/v1alpha1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n"
        + textwrap.indent(textwrap.dedent(head), "  ")
        + "  modules:\n    - name: os\n      tasks:\n"
        + textwrap.indent(textwrap.dedent(tasks), " " * 8)
    )


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a project's files."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def load(
    root: Path,
    *,
    environment: str | None = None,
    variables: Mapping[str, str] | None = None,
    var_files: Sequence[Path] = (),
    files: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    run_command: RunCommand | None = None,
    untrusted: bool = False,
    hosts_known: HostsKnown | None = None,
) -> LoadedProject:
    """`load_project` with the built-in kinds and a fixed clock."""
    return load_project(
        root,
        files=files,
        environment=environment,
        variables=variables or {},
        var_files=var_files,
        environ=environ or {},
        registry=default_registry(plugins=False),
        run_command=run_command or Commands(),
        untrusted=untrusted,
        now=NOW,
        hosts_known=hosts_known,
    )


def told(diagnostics: Sequence[Diagnostic], root: Path) -> str:
    """Diagnostics as text, one block each, without the test's own directory."""
    blocks: list[str] = []
    for item in diagnostics:
        lines = [f"{item.severity}: {item.summary}"]
        if item.source is not None:
            place = f"{item.source.filename}:{item.source.line}:{item.source.column}"
            lines.append(f"  at {place} {item.path}".rstrip())
            if item.source.snippet:
                lines.append(f"  | {item.source.snippet}")
        lines += [f"  = {line}" for line in item.detail.splitlines()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks).replace(f"{root}/", "").replace(str(root), "ROOT") + "\n"
