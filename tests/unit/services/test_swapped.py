"""Steps that pass their objects on to each other: what was there before stays with the object."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubexms.executor.events import Event, StepFinished
from kubexms.executor.stop import StopSignal
from kubexms.plan.model import PlanOptions
from kubexms.services.applying import ApplyOptions, apply
from kubexms.services.state import lock_info
from kubexms.state.model import Intent
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


def stopped_after(here: Drifting, name: str) -> None:
    """An apply that ends when the step of that name is done, as if it had been killed there."""
    stop = StopSignal()

    def heard(event: Event) -> None:
        if isinstance(event, StepFinished) and f"/{name}@" in event.result.address:
            stop.request()

    with here.project() as project:
        outcome = apply(
            project,
            PlanOptions(),
            ApplyOptions(),
            saved=None,
            approve=lambda made: True,
            listener=heard,
            stop=stop,
        )
    assert outcome.result is not None
    assert outcome.result.interrupted


ALONE = {"timeout": 60}
"""What makes a step share its exchange with no other."""


def links(here: Drifting) -> dict[str, str]:
    return {path.name: str(path.readlink()) for path in sorted(here.target.iterdir())}


@pytest.mark.parametrize("kind", ["file", "symlink"])
@pytest.mark.parametrize("how", ["destroyed then", "applied again"])
@pytest.mark.parametrize(
    "now",
    [
        {"a": "y", "b": "x", "c": "z"},
        {"a": "y", "b": "z", "c": "x"},
        {"a": "y", "b": "z", "c": "w"},
        {"a": "y", "c": "z"},
        {"a": "y", "c": "w"},
        {"new": "x", "a": "w", "b": "y", "c": "z"},
    ],
    ids=lambda now: " ".join(f"{name}:{path}" for name, path in now.items()),
)
def test_what_was_there_before_survives_a_run_that_ends_in_between(
    here: Drifting, now: dict[str, str], how: str, kind: str
) -> None:
    """A file's bytes are kept on its host, where a link pointed to is kept in the state."""
    found = contents if kind == "file" else links
    for path in "wxyz":
        if kind == "file":
            (here.target / path).write_text(f"before-{path}")
        else:
            (here.target / path).symlink_to(f"before-{path}")
    before = found(here)

    def steps(paths: dict[str, str]) -> None:
        text = "content" if kind == "file" else "target"
        here.steps(
            *(
                {"name": name, "kind": kind, "path": str(here.target / path), text: name, **ALONE}
                for name, path in paths.items()
            )
        )

    steps({"a": "x", "b": "y", "c": "z"})
    here.apply()
    steps(now)
    stopped_after(here, next(iter(now)))
    if how == "applied again":
        here.apply()
        assert found(here) == before | {path: name for name, path in now.items()}
        assert not here.plan().effective
    destroy(here)
    assert found(here) == before
    with here.project() as project:
        assert not project.store.snapshot().steps


def test_a_path_that_changes_after_a_kill_leaves_nothing_behind(here: Drifting) -> None:
    """The state knows the first path only as something that was begun."""
    (here.target / "x").write_text("from before\n")
    here.steps({**here.file("a", "a\n"), "path": str(here.target / "x")})
    here.apply()
    with here.project() as project, project.store.lock(lock_info(project, "apply"), timeout=0) as writer:
        (entry,) = project.store.snapshot().steps.values()
        writer.remove_steps([entry.address])
        assert entry.spec is not None
        writer.open_intent(
            Intent(
                address=entry.address,
                run="killed",
                kind=entry.kind,
                action="update",
                spec=entry.spec,
                spec_digest=entry.spec_digest,
                prior=entry.prior,
                object_id=entry.object_id,
                machine_id=entry.machine_id,
                at=entry.updated or datetime.now(UTC),
            )
        )
    here.steps({**here.file("a", "a\n"), "path": str(here.target / "y")})
    here.apply()
    assert contents(here) == {"x": "from before\n", "y": "a\n"}
    destroy(here)
    assert contents(here) == {"x": "from before\n"}
