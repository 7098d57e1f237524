"""What a removal compares with the plan, on this machine: what a person was shown, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.services.here import DIGEST, IMAGE, Here


def applied(here: Here) -> Path:
    """A file that is managed."""
    here.steps(here.file("a"))
    assert here.apply().statuses == ["ok"]
    return here.files / "a"


def imported(here: Here, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image that is managed; returns the file without which containerd does not answer."""
    programs, up = here.containerd("")
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    up.touch()
    assert here.apply().statuses == ["ok"]
    return up


def assert_nothing_is_kept(here: Here) -> None:
    assert not list((here.host / "objects").iterdir())
    assert not list((here.host / "steps").iterdir())


def test_what_changed_in_nothing_that_was_shown_is_removed(here: Here) -> None:
    """Nobody had asked for a mode: the plan tells none, and another one is no reason to think again."""
    path = applied(here)
    ran = here.apply(destroy=True, meanwhile=lambda: path.chmod(0o600))
    assert ran.statuses == ["ok"], ran.results
    assert here.texts() == {}
    assert_nothing_is_kept(here)


def test_what_somebody_changed_after_the_plan_is_not_removed(here: Here) -> None:
    path = applied(here)
    ran = here.apply(destroy=True, meanwhile=lambda: path.write_text("somebody else's\n"))
    [result] = ran.results.values()
    assert result.status.value == "failed"
    assert "the host changed between the observation and the action" in result.message
    assert "(sha256)" in result.message
    assert here.texts() == {"a": "somebody else's\n"}
    assert list(ran.state.steps) == ["m/t/a@here"]
    assert ran.state.intents == {}


def test_what_is_gone_by_then_needs_no_removal(here: Here) -> None:
    path = applied(here)
    ran = here.apply(destroy=True, meanwhile=path.unlink)
    assert ran.statuses == ["ok"], ran.results
    assert ran.state.steps == {}
    assert_nothing_is_kept(here)


def test_what_could_not_be_seen_by_the_plan_is_removed_once_it_can(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = imported(here, monkeypatch)
    up.unlink()
    ran = here.apply(destroy=True, meanwhile=up.touch)
    assert ran.statuses == ["ok"], ran.results
    assert here.texts()["images"] == ""


def test_what_cannot_be_seen_any_more_is_not_removed_blindly(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = imported(here, monkeypatch)
    ran = here.apply(destroy=True, meanwhile=up.unlink)
    [result] = ran.results.values()
    assert result.status.value == "failed"
    assert "cannot be seen any more" in result.message
    assert "connection refused" in result.message
    assert here.texts()["images"] == f"{IMAGE} t {DIGEST} complete\n"
