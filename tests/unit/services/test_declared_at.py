"""State names the place of a step so that it means the same to everybody who shares it."""

from __future__ import annotations

from pathlib import Path

from tests.unit.services.drifting import Drifting


def test_the_place_of_a_step_is_recorded_from_the_root_of_the_project(tmp_path: Path) -> None:
    here = Drifting(tmp_path)
    here.steps(here.file("a", "one\n"))
    here.apply()
    with here.project() as project:
        (entry,) = project.store.snapshot().steps.values()
    assert entry.source == "pipeline.yaml:1"
