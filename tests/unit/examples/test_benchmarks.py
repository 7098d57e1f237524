"""The benchmark's workload is the same for every tool, and its controller part runs without hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.aims import judged
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
