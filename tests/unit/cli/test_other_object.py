"""Steps that are changed to be about another object: the one before does not stay behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.local import LocalProject


@pytest.fixture
def project(tmp_path: Path) -> LocalProject:
    return LocalProject(tmp_path / "project")


def note(path: Path, content: str = "one\n", name: str = "note") -> dict[str, Any]:
    """A file step."""
    return {"name": name, "kind": "file", "path": str(path), "content": content}


def test_a_file_moves_and_everything_is_as_it_was(project: LocalProject, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("of old\n")
    new.write_text("of new\n")
    project.steps(note(old))
    project.apply()
    project.steps(note(new))
    code, text = project.plan()
    assert code == 2
    assert "# m/t/note@here must be replaced\n" in text
    assert f"{old} is undone first: the step was about that" in text
    assert "Plan: 1 to add, 0 to change, 1 to destroy." in text
    assert (old.read_text(), new.read_text()) == ("one\n", "of new\n")
    assert "Resources: 1 added, 0 changed, 1 destroyed." in project.apply()
    assert (old.read_text(), new.read_text()) == ("of old\n", "one\n")
    assert project.plan()[0] == 0
    assert project.run("destroy", "--auto-approve").returncode == 0
    assert (old.read_text(), new.read_text()) == ("of old\n", "of new\n")
    state = Path(os.environ["KUBEXMS_HOST_STATE"])
    kept = [*(state / "objects").iterdir(), *(state / "steps").iterdir()]
    assert not any(
        str(tmp_path).encode() in part.read_bytes() for path in kept for part in path.rglob("*.path")
    )


def test_what_is_right_already_is_left_and_the_old_one_goes(project: LocalProject, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    project.steps(note(old))
    project.apply()
    new.write_text("one\n")
    project.steps(note(new))
    project.apply()
    assert not old.exists()
    assert project.plan()[0] == 0
    project.run("destroy", "--auto-approve")
    assert new.read_text() == "one\n"


def test_steps_that_swap_their_objects_lose_none(project: LocalProject, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    project.steps(note(a, "a\n", "x"), note(b, "b\n", "y"))
    project.apply()
    project.steps(note(b, "a\n", "x"), note(a, "b\n", "y"))
    project.apply()
    assert (a.read_text(), b.read_text()) == ("b\n", "a\n")
    assert project.plan()[0] == 0


def test_a_protected_one_is_refused(project: LocalProject, tmp_path: Path) -> None:
    project.steps({**note(tmp_path / "old"), "preventDestroy": True})
    project.apply()
    project.steps({**note(tmp_path / "new"), "preventDestroy": True})
    code, text = project.plan()
    assert code == 1
    assert "has preventDestroy, and the plan would replace it" in text


def test_replacing_what_is_not_there_is_an_error(project: LocalProject, tmp_path: Path) -> None:
    project.steps(note(tmp_path / "old"))
    code, text = project.plan("--replace", "m/t/nota")
    assert code == 1
    assert "Error: --replace m/t/nota matches nothing\n" in text
