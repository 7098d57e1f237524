"""Connections that are begun before anybody uses them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubexms.config.secrets import SecretResolver
from kubexms.errors import ConfigError, SecretError
from kubexms.runtime.connect import run_local_command
from kubexms.runtime.protocol import Fragment, Record, RunIdentity
from kubexms.services.connecting import HostConnector
from kubexms.services.project import Foreseen, Settings, open_project
from kubexms.spec.inventory import Host
from tests.unit.services.here import Here

QUESTION = Fragment("emit 0 there")


def children() -> set[int]:
    """Processes that this one has started and that still run."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text().rpartition(") ")[2].split()[:2]
        except OSError:
            continue
        if parent == str(os.getpid()) and state != "Z":
            found.add(int(entry.name))
    return found


def settled(allowed: set[int]) -> bool:
    """Whether none but these are left when all that connects is done; those may end as well."""
    for thread in threading.enumerate():
        if thread.name.startswith("connect "):
            thread.join(60)
            assert not thread.is_alive()
    return children() <= allowed


@pytest.fixture
def before() -> Iterator[set[int]]:
    """What ran before the test; nothing else runs after it."""
    found = children()
    yield found
    assert settled(found)


def connector(tmp_path: Path, *, keep: bool, **password: str) -> HostConnector:
    spec = {"type": "local"} | ({"password": password} if password else {})
    host = Host.model_validate({"name": "here", "connection": spec})
    return HostConnector({"here": host}, SecretResolver(tmp_path, {}, run_local_command), tmp_path, keep=keep)


@pytest.mark.parametrize("keep", [False, True])
def test_who_asks_gets_what_was_begun(tmp_path: Path, before: set[int], keep: bool) -> None:
    hosts = connector(tmp_path, keep=keep)
    hosts.prepare(["here"])
    reader = hosts.readonly("here")
    begun = children() - before
    assert len(begun) == 1
    (answer,) = reader.ask([QUESTION], deadline=30).answers
    assert answer.records == (Record(0, b"there"),)
    reader.close()
    assert hasattr(reader, "act") is False
    hosts.close()


def test_what_was_begun_can_act(tmp_path: Path, before: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEXMS_HOST_STATE", str(tmp_path / "host"))
    hosts = connector(tmp_path, keep=True)
    hosts.prepare(["here"])
    hosts.readonly("here").ask([QUESTION], deadline=30)
    assert hosts.writable("here") is hosts.writable("here")
    hosts.writable("here").begin(RunIdentity("r", "tester", "0", "l"), wait=5)
    hosts.close()


@pytest.mark.parametrize("keep", [False, True])
def test_what_nobody_uses_is_closed(tmp_path: Path, before: set[int], keep: bool) -> None:
    hosts = connector(tmp_path, keep=keep)
    hosts.prepare(["here"])
    hosts.close()
    hosts.close()


def test_a_secret_that_is_missing_is_told_by_the_first_use(tmp_path: Path) -> None:
    hosts = connector(tmp_path, keep=False, env="NOT_THERE")
    hosts.prepare(["here"])
    for _ in range(2):
        with pytest.raises(SecretError, match="NOT_THERE"):
            hosts.readonly("here")


def test_a_project_begins_and_ends_them(tmp_path: Path, before: set[int]) -> None:
    here = Here(tmp_path)
    here.steps(here.file("a"))
    project = open_project(Settings(root=tmp_path, foreseen=Foreseen()))
    first, second, keeping = project.connector(), project.connector(), project.connector(keep=True)
    assert first is project.begun
    assert len({id(first), id(second), id(keeping)}) == 3
    assert first.readonly("here").ask([QUESTION], deadline=30).answers[0].failure is None
    project.close()


def test_documents_that_are_wrong_end_them(tmp_path: Path, before: set[int]) -> None:
    here = Here(tmp_path)
    here.steps(here.file("a", mod="0644"))
    with pytest.raises(ConfigError, match="unknown field 'mod'"):
        open_project(Settings(root=tmp_path, foreseen=Foreseen(acting=True)))


@pytest.mark.parametrize("foreseen", [None, Foreseen(limit=("nobody",)), Foreseen(limit=("role:none",))])
def test_hosts_that_are_not_asked_are_left_alone(
    tmp_path: Path, before: set[int], foreseen: Foreseen | None
) -> None:
    here = Here(tmp_path)
    here.steps(here.file("a"))
    project = open_project(Settings(root=tmp_path, foreseen=foreseen))
    assert project.begun is None
    assert children() <= before
    project.close()
