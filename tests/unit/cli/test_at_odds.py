"""Two steps that are about one object: fine as long as both can have their way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.local import LocalProject


@pytest.fixture
def project(tmp_path: Path) -> LocalProject:
    return LocalProject(tmp_path / "project")


def note(path: Path, name: str, **fields: Any) -> dict[str, Any]:
    """A file step."""
    return {"name": name, "kind": "file", "path": str(path), **fields}


def test_who_would_undo_each_other_are_refused_and_named(project: LocalProject, tmp_path: Path) -> None:
    path = tmp_path / "note"
    project.steps(note(path, "a", content="one\n"), note(path, "b", content="two\n"))
    done = project.run("apply", "--auto-approve")
    assert done.returncode == 1
    assert "m/t/b@here and m/t/a@here are about one object, and differ in" in done.stderr
    assert "content" in done.stderr or "sha256" in done.stderr
    assert not path.exists()


def test_one_that_wants_it_gone_is_refused(project: LocalProject, tmp_path: Path) -> None:
    path = tmp_path / "note"
    project.steps(note(path, "a", content="one\n"), note(path, "b", state="absent"))
    code, text = project.plan()
    assert code == 1
    assert "m/t/b@here and m/t/a@here are about one object, and one wants it absent" in text


def test_what_agrees_is_fine(project: LocalProject, tmp_path: Path) -> None:
    path = tmp_path / "note"
    project.steps(note(path, "a", content="one\n", mode="0644"), note(path, "b", content="one\n"))
    project.apply()
    assert project.plan()[0] == 0
