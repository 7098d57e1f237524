"""Steps that pass their objects on to each other: what was there before stays with the object."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.executor.stop import StopSignal
from kubexms.plan.model import PlanOptions
from kubexms.services.applying import ApplyOptions, apply
from tests.unit.services.drifting import Drifting


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    return Drifting(tmp_path)


def destroy(here: Drifting) -> None:
    with here.project() as project:
        outcome = apply(
            project,
            PlanOptions(operation="destroy"),
            ApplyOptions(),
            saved=None,
            approve=lambda made: True,
            listener=lambda event: None,
            stop=StopSignal(),
        )
    assert outcome.result is not None
    assert not outcome.result.failed, outcome.result


def contents(here: Drifting) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(here.target.iterdir())}


def test_two_files_that_swap_their_paths(here: Drifting) -> None:
    (here.target / "x").write_text("from before\n")
    x, y = str(here.target / "x"), str(here.target / "y")
    here.steps({**here.file("a", "a\n"), "path": x}, {**here.file("b", "b\n"), "path": y})
    here.apply()
    here.steps({**here.file("a", "a\n"), "path": y}, {**here.file("b", "b\n"), "path": x})
    here.apply()
    assert contents(here) == {"x": "b\n", "y": "a\n"}
    assert not here.plan().effective
    destroy(here)
    assert contents(here) == {"x": "from before\n"}


def test_files_that_move_up_one_by_one(here: Drifting) -> None:
    (here.target / "y").write_text("from before\n")
    x, y, z = (str(here.target / name) for name in "xyz")
    here.steps({**here.file("a", "a\n"), "path": x}, {**here.file("b", "b\n"), "path": y})
    here.apply()
    here.steps({**here.file("a", "a\n"), "path": y}, {**here.file("b", "b\n"), "path": z})
    here.apply()
    assert contents(here) == {"y": "a\n", "z": "b\n"}
    destroy(here)
    assert contents(here) == {"y": "from before\n"}
