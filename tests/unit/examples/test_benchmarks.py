"""The benchmark's workload is the same for every tool, and its controller part runs without hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contenders import write_kubexms
from benchmarks.controller import plan
from benchmarks.formats import plan_of
from benchmarks.measure import Figure, Sample, median
from benchmarks.report import Report, ratio
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


def test_medians_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    figure = median([Sample(1.0, 2.0, 30), Sample(3.0, 1.0, 10), Sample(2.0, 3.0, 20)])
    assert figure == Figure(2.0, 2.0, 20, 3)
    assert ratio(Figure(100.0, 0, 0, 1), figure) == "50"
    assert ratio(figure, figure) == "1.00"
    assert ratio(figure, None) == ""
    report = Report()
    report.table("Title", ["", "wall"], [["a", "1.00 s"]])
    assert "| a | 1.00 s |" in capsys.readouterr().out
