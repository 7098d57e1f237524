"""The hosts of the contract suite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubexms.runtime.target import HostTarget
from tests.contract.connection.places import SHELLS, Place, Sshd, shell_path, sshd_running

SSH = "ssh"


@pytest.fixture(scope="session")
def shells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shells' directories lie; other users can look into it."""
    directory = tmp_path_factory.mktemp("shells")
    for path in (directory, directory.parent, directory.parent.parent):
        path.chmod(0o755)
    return directory


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory, shells: Path) -> Iterator[Sshd]:
    """One sshd for all tests of a process, with dash as `sh`."""
    with sshd_running(tmp_path_factory.mktemp("sshd"), shell_path("dash", shells)) as server:
        yield server


def _local(shell: str, shells: Path, tmp_path: Path) -> Place:
    environment = {"PATH": shell_path(shell, shells), "KUBEXMS_HOST_STATE": str(tmp_path / "state")}
    target = HostTarget("h1", connection="local", environment=environment)
    return Place(shell, target, tmp_path, tmp_path / "state")


@pytest.fixture(params=[*SHELLS, SSH])
def place(request: pytest.FixtureRequest, shells: Path, tmp_path: Path) -> Iterator[Place]:
    """Each kind of host in turn."""
    if request.param == SSH:
        server: Sshd = request.getfixturevalue("sshd")
        shutil.rmtree(server.state, ignore_errors=True)
        found = Place(SSH, server.target(), tmp_path, server.state)
    else:
        found = _local(request.param, shells, tmp_path)
    yield found
    found.close()


@pytest.fixture(params=SHELLS)
def local_place(request: pytest.FixtureRequest, shells: Path, tmp_path: Path) -> Iterator[Place]:
    """A local shell of each kind."""
    found = _local(request.param, shells, tmp_path)
    yield found
    found.close()
