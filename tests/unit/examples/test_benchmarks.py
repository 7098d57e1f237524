"""The benchmark's workload is the same for every tool, and its controller part runs without hosts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.aims import judged
from benchmarks.cluster.breakdown import (
    MEMBER,
    REST,
    Milestones,
    Share,
    milestones,
    shares,
    spans,
    without_tools,
)
from benchmarks.contenders import write_kubexms
from benchmarks.controller import plan
from benchmarks.formats import plan_of
from benchmarks.measure import Figure, RunFailed, Sample, median, sample
from benchmarks.report import Report, ratio, targets, wall
from benchmarks.workload import STANDARD, sized
from kubexms.config.project import load_project
from kubexms.runtime.connect import run_local_command
from kubexms.services.planfile import read_plan, write_plan
from kubexms.step.registry import default_registry
from kubexms.views.changes import folded
from kubexms.views.plan_formats import PLAN_FORMATS


def test_standard_workload_is_a_hundred_steps() -> None:
    assert STANDARD.steps == 100
    assert [STANDARD.files, STANDARD.directories, STANDARD.lines, STANDARD.packages, STANDARD.commands] == [
        50,
        20,
        10,
        10,
        10,
    ]


@pytest.mark.parametrize("steps", [10, 20, 100, 1000])
def test_sizes_are_exact(steps: int) -> None:
    assert sized(steps).steps == steps


def test_documents_load(tmp_path: Path) -> None:
    write_kubexms(tmp_path, [("a", "192.0.2.1")], STANDARD, None)
    loaded = load_project(tmp_path, registry=default_registry(plugins=False), run_command=run_local_command)
    [module] = loaded.pipeline.modules
    assert len(module.tasks[0].steps) == 100


def test_controller_plans_every_step_of_every_host(tmp_path: Path) -> None:
    counts = plan(tmp_path, hosts=3, steps=20).counts()
    assert counts.add + counts.change + counts.unchanged == 60


@pytest.mark.parametrize("alike", [True, False])
def test_plans_to_show_are_read_and_shown_in_every_format(alike: bool, tmp_path: Path) -> None:
    made = plan_of(3, 6, alike=alike)
    assert len(made.effective) == 18
    assert len(folded(made.effective)) == (6 if alike else 18)
    write_plan(made, tmp_path / "p")
    read = read_plan(tmp_path / "p")
    assert all(view(read) for view in PLAN_FORMATS.values())


def test_what_takes_too_long_is_ended_and_says_so(tmp_path: Path) -> None:
    argv = ["sh", "-c", "sleep 60 & sleep 60"]
    taken = sample(argv, str(tmp_path), {}, patience=0.2)
    assert taken.stopped
    assert taken.wall < 60
    figure = median([taken])
    assert wall(figure).startswith("> ")
    assert ratio(figure, Figure(figure.wall / 4, 0, 0, 1)) == "> 4.00"
    assert not sample(["true"], str(tmp_path), {}, patience=60).stopped
    with pytest.raises(RunFailed, match="ended with 3"):
        sample(["sh", "-c", "exit 3"], str(tmp_path), {})


def test_aims_are_judged_by_what_was_measured() -> None:
    report = Report()
    assert targets(report) == []
    report.figures |= {
        "plan kubexms 1": Figure(1.0, 0, 0, 3),
        "plan pyinfra 1": Figure(30.0, 0, 0, 1),
        "plan ansible 1": Figure(200.0, 0, 0, 1, stopped=True),
    }
    report.values |= {"plan : floor 10": 1.4, "controller peak 1000": 2.0**30, "controller each 1000": 1.0}
    assert [(aim, found, met) for _, aim, found, met in judged(report)] == [
        ("at most 1.5", "1.40", True),
        ("at least 40", "30.0", False),
        ("at least 150", "more than 200.0", True),
        ("under 1.5 GiB", "1.00 GiB", True),
    ]
    assert " no |" in "\n".join(targets(report))


def test_medians_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    figure = median([Sample(1.0, 2.0, 30), Sample(3.0, 1.0, 10), Sample(2.0, 3.0, 20)])
    assert figure == Figure(2.0, 2.0, 20, 3)
    assert ratio(Figure(100.0, 0, 0, 1), figure) == "50"
    assert ratio(figure, figure) == "1.00"
    assert ratio(figure, None) == ""
    report = Report()
    report.table("Title", ["", "wall"], [["a", "1.00 s"]])
    assert "| a | 1.00 s |" in capsys.readouterr().out


def event(at: float, kind: str, address: str = "", step_kind: str = "") -> str:
    resource = {"addr": address, "resource_type": step_kind}
    moment = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
    return json.dumps({"@timestamp": moment.isoformat(), "type": kind, "hook": {"resource": resource}})


def test_where_the_time_of_a_bring_up_went() -> None:
    steps = [
        ("a/b/file@x", "file", 2, 3),
        ("a/b/apt@x", "package", 3, 8),
        ("a/b/apt@y", "package", 4, 9),
        ("a/b/more@y", "package", 4, 9),  # in one exchange with it
        ("c/m/node@x", MEMBER, 10, 30),
        ("c/m/node@y", MEMBER, 30, 45),
    ]
    moments = [(began, "apply_start", name, kind) for name, kind, began, _ in steps]
    moments += [(ended, "apply_complete", name, kind) for name, kind, _, ended in steps]
    lines = [event(0, "version"), *(event(*moment) for moment in sorted(moments))]
    found = spans(lines)
    assert [(span.address, span.began, span.ended) for span in found] == [
        (name, began, ended) for name, _, began, ended in steps
    ]
    marks = milestones(found, 50)
    assert marks == Milestones(planned=2, prepared=10, first=30, joined=45, ready=50)
    assert marks.phases() == (2, 8, 20, 15, 5)
    by_name = {share.name: share for share in shares(found)}
    assert by_name["packages (apt)"] == Share("packages (apt)", 3, 10, 5)
    assert by_name["kubeadm (init, join)"].host == 20
    assert by_name[REST].total == 1
    # 3 to 9 in apt, 10 to 45 in kubeadm
    assert without_tools(found, 50) == 50 - 6 - 35
