"""What it costs to show a plan of ten thousand changes: every format, the whole process, reading included."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import median, sample
from benchmarks.report import Report, seconds, size
from kubexms.plan.model import Binding, Change, HostReport, HostStatus, Plan, Reason, TextDiff
from kubexms.plan.origin import Origin, Place, RenderedStep
from kubexms.services.planfile import write_plan
from kubexms.step.contract import ActionKind, Disruption
from kubexms.views.plan_formats import PLAN_FORMATS

FORMATS = ("human", *PLAN_FORMATS)
_LINES = "".join(f"setting_{number} = {number}\n" for number in range(20))


def show(report: Report, hosts: int, steps: int, rounds: int, say: Callable[[str], None]) -> None:
    """A table for a plan whose hosts change alike, and one for a plan in which no two changes are alike."""
    for alike in (True, False):
        with tempfile.TemporaryDirectory(prefix="kubexms-bench-") as directory:
            write_plan(plan_of(hosts, steps, alike=alike), Path(directory) / "plan.kxp")
            rows = []
            for form in FORMATS:
                argv = [
                    sys.executable,
                    "-m",
                    "kubexms",
                    "-C",
                    directory,
                    "show",
                    "--format",
                    form,
                    "plan.kxp",
                ]
                taken = [sample(argv, str(Path.cwd()), {"CI": ""}) for _ in range(rounds)]
                figure = median(taken)
                say(f"show --format {form}, {_shape(alike=alike)}: {figure.wall:.1f} s")
                rows.append([form, seconds(figure.wall), seconds(figure.cpu), size(figure.peak)])
        title = f"show: {hosts * steps} changes, {steps} steps on {hosts} hosts, {_shape(alike=alike)}"
        report.table(title, ["format", "wall", "cpu", "peak memory"], rows)


def _shape(*, alike: bool) -> str:
    return "alike on all" if alike else "no two alike"


def plan_of(hosts: int, steps: int, *, alike: bool) -> Plan:
    """A plan with origin: a third each of files with a diff, packages, and services that restart."""
    names = [f"n{number:03}" for number in range(1, hosts + 1)]
    changes = sorted(_changes(names, steps, alike=alike), key=lambda change: change.address)
    paths = sorted({change.address.rpartition("@")[0] for change in changes})
    return Plan(
        tool_version="0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        project="bench",
        workspace="default",
        lineage="00000000-0000-4000-8000-000000000000",
        serial=1,
        spec_digest="v1:" + "0" * 64,
        hosts=tuple(HostReport(name=name, status=HostStatus.OK, rounds=1, roles=("node",)) for name in names),
        changes=tuple(changes),
        origin=Origin(
            places={path: Place(file="site.yaml", line=number) for number, path in enumerate(paths, 1)},
            steps={
                change.binding.spec: RenderedStep(kind=change.kind, fields={"path": change.summary})
                for change in changes
            },
            inputs={name: {"m0": {"facts.os.id": "debian"}} for name in names},
        ),
    )


def _changes(names: list[str], steps: int, *, alike: bool) -> Iterator[Change]:
    for number in range(steps):
        for name in names:
            own = "" if alike else f" on {name}"
            yield _change(f"m{number // 10}/t{number % 3}/s{number}@{name}", number, own)


def _change(address: str, number: int, own: str) -> Change:
    binding = Binding(spec=f"v1:{number:032}{own}", observation=f"v1:{number:064}", state=f"v1:{number:064}")
    if number % 3 == 0:
        after = _LINES.replace("= 7\n", f"= {number}{own}\n")
        return Change(
            address=address, kind="file", action=ActionKind.UPDATE, reason=Reason.SPEC_CHANGED,
            binding=binding, before={"mode": "0644", "sha256": "1" * 64},
            after={"mode": "0644", "sha256": "2" * 64}, changed=("sha256",),
            text={"content": TextDiff(before=_LINES, after=after)},
            summary=f"/etc/app/{number}.conf",
        )  # fmt: skip
    if number % 3 == 1:
        return Change(
            address=address, kind="package", action=ActionKind.CREATE, reason=Reason.NEW, binding=binding,
            after={"packages": {f"tool-{number}{own}": "installed"}}, changed=("packages",),
            summary=f"tool-{number}",
        )  # fmt: skip
    return Change(
        address=address, kind="service", action=ActionKind.UPDATE, reason=Reason.TRIGGERED, binding=binding,
        before={"enabled": True, "running": True}, after={"enabled": True, "running": True},
        triggered_by=(f"config{own}",), disruption=Disruption.RESTART, summary=f"app-{number}.service",
    )  # fmt: skip
