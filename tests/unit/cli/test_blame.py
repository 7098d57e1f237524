"""Errors that only rendering finds: they name the step, the host, and the field where it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.local import LocalProject

VARIABLES = {
    "n": {"type": "integer", "default": 3},
    "secrets": {"type": "map", "sensitive": True, "default": {"hunter2": "hunter3"}},
}


@pytest.mark.parametrize(
    ("step", "field", "told"),
    [
        ({"content": "{{ vars.n }}"}, "content", "content: expected a string, not a number"),
        ({"content": "{{ facts.nope }}"}, "content", "'facts.nope' is undefined"),
        ({"source": "nowhere"}, "source", "cannot read the controller file"),
        ({"content": "", "when": "1 / 0 == 1"}, "when", "division by zero"),
        ({"content": "", "forEach": "{{ vars.n }}"}, "forEach", "is a number, not a list or a mapping"),
        ({"content": "", "forEach": "{{ vars.secrets }}"}, "forEach", "m/t/f reads a sensitive value"),
        ({"content": "", "triggers": ["{{ 1 / 0 }}"]}, "triggers", "division by zero"),
    ],
    ids=["type", "undefined", "asset", "when", "forEach", "secrets", "triggers"],
)
def test_the_field_is_shown(tmp_path: Path, step: dict[str, Any], field: str, told: str) -> None:
    project = LocalProject(tmp_path / "project")
    file = {"name": "f", "kind": "file", "path": f"{tmp_path}/f", **step}
    project.steps(file, variables=VARIABLES)
    code, text = project.plan()
    assert code == 1
    assert told in text
    assert f"(spec.modules[0].tasks[0].steps[0].{field})" in text
    assert "with m/t/f@" in text
    assert "hunter" not in text


def test_a_number_for_text_says_how_to_write_it(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    file = {"name": "f", "kind": "file", "path": f"{tmp_path}/f", "content": "{{ vars.n }}"}
    project.steps(file, variables=VARIABLES)
    assert "write '{{ … | string }}'" in project.plan()[1]
    project.steps(file | {"content": "{{ vars.n | string }}"}, variables=VARIABLES)
    project.apply()
    assert (tmp_path / "f").read_text() == "3"


def test_a_sensitive_step_shows_no_line(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    content = "hunter2 {{ facts.nope }}"
    file = {"name": "f", "kind": "file", "path": f"{tmp_path}/f", "content": content, "sensitive": True}
    project.steps(file)
    code, text = project.plan()
    assert code == 1
    assert "steps[0].content" in text
    assert "hunter2" not in text


def test_packages_are_named_as_they_are_written(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    project.steps({"name": "p", "kind": "package", "packages": ["kubexms-nowhere=1.2", "kubexms-nothing"]})
    assert 'package "kubexms-nowhere=1.2, kubexms-nothing" {' in project.plan()[1]
