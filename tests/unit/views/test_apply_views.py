"""An apply as it goes: lines, the live display, the recap, the stream."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from kubexms.executor.events import (
    RefreshFinished,
    RefreshStarted,
    RunFinished,
    RunResult,
    RunStarted,
    StepFinished,
    StepResult,
    StepStarted,
    StepStatus,
)
from kubexms.views.apply_live import LiveProgress
from kubexms.views.outcome import Totals, failure_diagnostic, tallies
from kubexms.views.paint import plain
from kubexms.views.recap import recap_text
from kubexms.views.ui_stream import Stream
from tests.golden.cases import CASES, create, host, plan
from tests.golden.runs import RUNS


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _shown(live: LiveProgress, width: int = 60, height: int = 10) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, no_color=True)
    with console.capture() as capture:
        console.print(live.render())
    return capture.get()


def _live(width: int = 60, height: int = 10) -> tuple[LiveProgress, Clock, io.StringIO]:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, width=width, height=height, force_terminal=True, no_color=True)
    return LiveProgress(console, plain, clock), clock, out


def test_the_display_shows_busy_hosts_and_how_far_they_are() -> None:
    live, clock, _ = _live()
    changes = [create(f"os/kernel/overlay@n{number}", "kernelModule", {"loaded": True}) for number in (1, 2)]
    with live:
        live.plan(plan(*changes))
        live(RunStarted("r", 2, ("n1", "n2")))
        live(StepStarted(changes[0]))
        clock.now = 5.0
        assert _shown(live) == "━━━━━━━━━━━━━━━ 0/2 steps\n  n1  0/1  os/kernel/overlay  5s\n"
        result = StepResult(changes[0].address, "kernelModule", "create", StepStatus.OK, True)
        live(StepFinished(changes[0], result))
        assert _shown(live) == "━━━━━━━━━━━━━━━ 1/2 steps\n"


def test_steps_that_share_an_exchange_are_counted() -> None:
    live, _, _ = _live()
    changes = [create(f"os/base/{name}@n1", "package", {}) for name in ("curl", "jq", "tree")]
    with live:
        live.plan(plan(*changes))
        live(RunStarted("r", 3, ("n1",)))
        for change in changes:
            live(StepStarted(change))
        assert _shown(live).endswith("  n1  0/3  os/base/curl and 2 more\n")
        live(StepFinished(changes[1], _result(changes[1].address)))
        assert _shown(live).endswith("  n1  1/3  os/base/curl and 1 more\n")


@pytest.mark.parametrize(("width", "height"), [(20, 4), (40, 8), (200, 50)])
def test_the_display_is_never_larger_than_the_terminal(width: int, height: int) -> None:
    live, _, _ = _live(width, height)
    changes = [create(f"os/kernel/overlay@host-{number:03}", "kernelModule", {}) for number in range(100)]
    with live:
        for change in changes:
            live(RefreshStarted(change.host))
        live.plan(plan(*changes))
        live(RunStarted("r", 100, tuple(change.host for change in changes)))
        for change in changes:
            live(StepStarted(change))
        lines = _shown(live, width, height).rstrip("\n").split("\n")
        assert len(lines) < height
        assert all(len(line) < width for line in lines)


def test_asking_shows_who_is_slow_but_only_after_a_while() -> None:
    live, clock, _ = _live()
    with live:
        live(RefreshStarted("n1"))
        live(RefreshStarted("n2"))
        assert _shown(live).strip() == ""
        clock.now = 1.0
        live(RefreshFinished(host("n1"), 0.5))
        assert _shown(live) == "Refreshing state: 1 of 2 hosts answered, waiting for n2\n"


@pytest.mark.parametrize("case", RUNS, ids=lambda case: case.name)
def test_any_run_can_be_watched(case: object) -> None:
    live, _, out = _live()
    with live:
        for event in case.events():  # type: ignore[attr-defined]
            live(event)
    assert "\x07" not in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


def test_every_line_of_a_stream_has_the_fields_that_tools_expect() -> None:
    lines: list[str] = []
    stream = Stream(lines.append, lambda: datetime(2026, 3, 1, tzinfo=UTC), "0.1.0")
    stream.begin()
    for case in CASES:
        stream.plan(case.plan())
    for run in RUNS:
        for event in run.events():
            stream(event)
    events = [json.loads(line) for line in lines]
    assert events[0]["type"] == "version"
    for event in events:
        assert {"@level", "@message", "@module", "@timestamp", "type"} <= set(event)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["@timestamp"])
    words = {event["change"]["action"] for event in events if event["type"] == "planned_change"}
    assert words <= {"noop", "move", "create", "read", "update", "replace", "delete", "remove"}
    timed = [e for e in events if e["type"] in {"apply_progress", "apply_complete", "apply_errored"}]
    assert timed
    assert all(isinstance(event["hook"]["elapsed_seconds"], int) for event in timed)


def _result(
    address: str, action: str = "create", status: StepStatus = StepStatus.OK, changed: bool = True
) -> StepResult:
    return StepResult(address, "file", action, status, changed)


def test_totals_count_objects_that_changed() -> None:
    results = (
        _result("a/b/c@n1"),
        _result("a/b/d@n1", changed=False),
        _result("a/b/e@n1", "replace"),
        _result("a/b/f@n1", "run"),
        _result("a/b/g@n1", "delete"),
        _result("a/b/h@n1", "create", StepStatus.FAILED),
    )
    assert Totals.of(RunResult("r", results)) == Totals(added=2, changed=1, destroyed=2)


def test_hooks_are_no_objects() -> None:
    ran = StepResult("a/b/hook[drain]@n1", "hook", "run", StepStatus.OK, changed=True)
    here = StepResult("a/b/hook[notify]@controller", "hook", "run", StepStatus.OK, changed=True)
    lost = StepResult("hook[tell]@controller", "hook", "run", StepStatus.FAILED, message="exit status 1")
    result = RunResult("r", (_result("a/b/c@n1"), ran, here))
    assert Totals.of(result) == Totals(added=1)
    text = recap_text(result)
    assert "  n1  ok=1  changed=1  failed=0  skipped=0\n\nApply complete!" in text
    assert "controller" not in text
    text = recap_text(RunResult("r", (*result.results, lost)))
    assert "  controller  ok=0  changed=0  failed=1  skipped=0\n" in text
    assert "  hook[tell]@controller: exit status 1\n" in text
    assert "1 hook failed" in text


def test_trouble_comes_last_in_natural_order() -> None:
    results = (
        _result("a/b/c@n10"),
        _result("a/b/c@n2"),
        _result("a/b/c@n1", status=StepStatus.FAILED),
        _result("a/b/c@n3", status=StepStatus.SKIPPED),
    )
    found = tallies(RunResult("r", results, unreachable={"n0": "gone"}))
    assert [tally.host for tally in found] == ["n2", "n10", "n0", "n1", "n3"]


def test_a_recap_folds_and_unfolds() -> None:
    results = tuple(_result(f"a/b/c@n{number}") for number in range(1, 4))
    assert "  n[1-3]  ok=1  changed=1  failed=0  skipped=0\n" in recap_text(RunResult("r", results))
    assert "  n2  ok=1" in recap_text(RunResult("r", results), expand=True)


def test_an_empty_run_is_complete() -> None:
    assert recap_text(RunResult("r")) == "Apply complete! Resources: 0 added, 0 changed, 0 destroyed.\n"
    live, _, _ = _live()
    with live:
        live(RunFinished(RunResult("r")))


def test_of_a_flood_only_the_end_is_shown() -> None:
    flood = "".join(f"line {number}\n" for number in range(100))
    result = StepResult(
        "m/t/s@n1", "command", "run", StepStatus.FAILED, message="exit status 3", stdout=flood
    )
    detail = failure_diagnostic(result).detail
    assert "stdout, its last 20 lines (`kubexms runs show` has 80 more):\n  line 80\n" in detail
    assert "line 79" not in detail
    assert detail.rstrip().endswith("line 99")
