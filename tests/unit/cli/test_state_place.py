"""`state`, `runs` and `show` look at the state alone, whatever is wrong with the documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubexms.config.place import state_place
from kubexms.config.project import load_project
from kubexms.errors import ConfigError
from kubexms.runtime.connect import run_local_command
from kubexms.step.registry import default_registry
from tests.unit.cli.local import LocalProject

REGISTRY = default_registry(plugins=False)


@pytest.fixture
def project(tmp_path: Path) -> LocalProject:
    """A project with an environment, applied in it."""
    made = LocalProject(tmp_path / "project")
    made.write(
        "Project",
        {"environments": {"prod": {"workspace": "main", "state": {"path": "kept"}}, "test": {}}},
    )
    made.steps({"name": "f", "kind": "file", "path": str(tmp_path / "f"), "content": "x\n"})
    made.apply("-e", "prod")
    return made


def test_broken_documents_do_not_hide_the_state(project: LocalProject) -> None:
    (project.root / "pipeline.yaml").write_text('{"apiVersion": "kubexms.io/v1alpha1", "kind": "Pipeline", [')
    (project.root / "inventory.yaml").write_text(
        "apiVersion: kubexms.io/v1alpha1\nkind: Inventory\nspec: 1\n"
    )
    assert project.run("validate", "-e", "prod").returncode == 1
    assert project.run("state", "list", "-e", "prod").stdout == "m/t/f@here\n"
    assert 'file "' in project.run("state", "show", "-e", "prod", "m/t/f").stdout
    assert "m/t/f@here" in project.run("show", "-e", "prod").stdout
    runs = json.loads(project.run("runs", "list", "-e", "prod", "--json").stdout)
    assert "m/t/f@here" in project.run("runs", "show", "-e", "prod", runs[0]["id"]).stdout
    assert project.run("state", "rm", "-e", "prod", "m/t/f").stdout == "Forgot m/t/f@here\n"


def test_the_place_is_the_one_that_loading_finds(project: LocalProject) -> None:
    for environment in ("prod", "test"):
        place = state_place(project.root, environment=environment, catalog=REGISTRY)
        loaded = load_project(
            project.root, environment=environment, registry=REGISTRY, run_command=run_local_command
        )
        assert (place.directory, place.workspace) == (loaded.state_dir, loaded.workspace)


def test_a_place_that_cannot_be_told_is_an_error(project: LocalProject, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none was chosen"):
        state_place(project.root, catalog=REGISTRY)
    with pytest.raises(ConfigError, match="no environment 'prodd'") as wrong:
        state_place(project.root, environment="prodd", catalog=REGISTRY)
    assert "Did you mean 'prod'?" in (wrong.value.detail or "")
    (project.root / "project.yaml").write_text("apiVersion: kubexms.io/v1alpha1\nkind: Project\nspec: {]\n")
    with pytest.raises(ConfigError):
        state_place(project.root, environment="prod", catalog=REGISTRY)
    with pytest.raises(ConfigError, match="no kubexms documents"):
        state_place(tmp_path, catalog=REGISTRY)
    with pytest.raises(ConfigError, match="cannot read"):
        state_place(tmp_path / "nowhere", catalog=REGISTRY)
