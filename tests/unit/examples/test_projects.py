"""Every example is a project that loads, and brings what it names along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubexms.builder.kinds import DOCUMENT_KINDS
from kubexms.config.project import load_project
from kubexms.runtime.connect import run_local_command
from kubexms.step.registry import default_registry
from tests.unit.examples.markdown import ROOT

EXAMPLES = ROOT / "examples"
PROJECTS = sorted(path.parent for path in EXAMPLES.glob("*/pipeline.yaml"))


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_loads(project: Path) -> None:
    loaded = load_project(
        project,
        registry=default_registry(plugins=False),
        run_command=run_local_command,
        kinds=DOCUMENT_KINDS,
    )
    assert loaded.inventory.hosts
    assert loaded.pipeline.modules


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_says_what_it_is_for(project: Path) -> None:
    assert (project / "README.md").is_file()
    assert f"]({project.name})" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_files_that_it_names_are_there(project: Path) -> None:
    text = (project / "pipeline.yaml").read_text()
    for name in re.findall(r"(?:template|source): ([\w./-]+)", text):
        assert (project / name).is_file(), name


def test_addresses_are_documentation_addresses() -> None:
    for config in EXAMPLES.glob("*/ssh_config"):
        for address in re.findall(r"HostName (\S+)", config.read_text()):
            assert address.startswith("192.0.2."), f"{config}: {address}"
