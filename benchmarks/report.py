"""Tables in Markdown, on the terminal and in RESULTS.md."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.aims import judged
from benchmarks.measure import Figure, Sample

_METHOD = (
    "Hosts are containers with systemd and sshd on that same machine: they compete with the tool for its",
    "cores, and the network between them costs next to nothing. Tools run in turn; each figure is the median",
    "of its runs; what took too long was ended, and stands with a `>`. Processor time and memory are the",
    "controller's own, memory that of its largest process.",
    "The steps are files, directories, lines of a file, packages from a local repository, guarded commands.",
)


def seconds(value: float) -> str:
    """Three digits that matter."""
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def wall(figure: Figure | Sample) -> str:
    """How long it took, or how long it was waited for."""
    return f"> {seconds(figure.wall)}" if figure.stopped else seconds(figure.wall)


def size(value: int) -> str:
    """Mebibytes."""
    return f"{value / 2**20:.0f} MiB"


def ratio(figure: Figure, own: Figure | None) -> str:
    """How many times as long as kubexms."""
    if own is None:
        return ""
    times = figure.wall / own.wall
    return ("> " if figure.stopped else "") + (f"{times:.2f}" if times < 10 else f"{times:.0f}")


@dataclass
class Report:
    """What has been measured so far. Printed as it comes, written at the end."""

    lines: list[str] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)
    """What the targets are about: "apply pyinfra 1" is the first apply by pyinfra on one host."""
    values: dict[str, float] = field(default_factory=dict)
    began: tuple[float, float, float] = field(default_factory=os.getloadavg)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table with the first column flush left, the others flush right."""
        text = table(title, header, rows)
        print("\n".join(text), flush=True)
        self.lines += text

    def note(self, text: str) -> None:
        """Add a paragraph."""
        print(text, flush=True)
        print()
        self.lines += [text, ""]

    def write(self, path: Path) -> None:
        """Write everything with a description of the machine that names nobody."""
        lines = [*_heading(self.began[0]), *targets(self), *self.lines]
        path.write_text("\n".join(lines).rstrip() + "\n")


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, the first column flush left, the others flush right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    text = [f"## {title}", "", _row(header, widths)]
    text.append("| " + " | ".join(_rule(width, i) for i, width in enumerate(widths)) + " |")
    return [*text, *(_row(row, widths) for row in rows), ""]


def targets(report: Report) -> list[str]:
    """What was aimed at, and what has been measured of that; nothing if nothing has."""
    rows = [[name, aim, found, "yes" if met else "no"] for name, aim, found, met in judged(report)]
    return table("Aims", ["", "aim", "measured", "met"], rows) if rows else []


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = [
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(shown) + " |"


def _rule(width: int, column: int) -> str:
    return "-" * width if column == 0 else "-" * (width - 1) + ":"


def _heading(load: float) -> list[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [f"Python {platform.python_version()}", f"kubexms {_kubexms()}"]
    for program, pattern in (("ansible", r"core ([\d.]+)"), ("pyinfra", r"v?([\d.]+)")):
        if found := _version(program, pattern):
            versions.append(f"{program} {found}")
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.machine()}"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return [
        "# Results",
        "",
        f"Measured {today} by `make bench` on one machine: {machine}; {', '.join(versions)}.",
        f"Its load average was {load:.1f} before: other work beside makes every figure larger and less sure.",
        "",
        *_METHOD,
        "",
    ]


def _kubexms() -> str:
    from kubexms import __version__

    return __version__


def _version(program: str, pattern: str) -> str | None:
    import shutil

    path = shutil.which(program) or str(Path(".bench-venv/bin", program).absolute())
    if not Path(path).exists():
        return None
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else None
