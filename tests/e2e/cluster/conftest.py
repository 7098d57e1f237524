"""Hosts that Kubernetes can run on, and what it is installed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.e2e.cluster import supply
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Fleet, Host

DATA = ("/var/lib/containerd", "/var/lib/etcd")
"""What cannot be on an overlay (containerd's snapshots are overlays), or is slow there (etcd's log)."""


class ClusterHosts(Protocol):
    """Boots bare hosts, all neighbours."""

    def __call__(self, count: int) -> list[Host]: ...

    @property
    def fleet(self) -> Fleet:
        """The fleet that they are in."""


class NewCluster(Protocol):
    """Boots a host for each name of `roles` and describes a cluster of all of them. Nothing is applied yet.

    `artifacts` are those of the session if none are given; `spec` is laid over what the testbed needs.
    """

    def __call__(
        self, roles: Mapping[str, str], *, artifacts: Path | None = None, **spec: Any
    ) -> ClusterProject: ...


def pytest_itemcollected(item: pytest.Item) -> None:
    """Skip what needs Kubernetes where it cannot be had."""
    if reason := supply.missing():
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """The directory of artifacts that clusters are built from."""
    return supply.artifacts()


@pytest.fixture(scope="module")
def cluster_hosts() -> Iterator[ClusterHosts]:
    """A factory of bare hosts for the tests of one file, taken down after them."""
    factory = _Factory()
    yield factory
    factory.fleet.down()


@pytest.fixture(scope="module")
def new_cluster(tmp_path_factory: pytest.TempPathFactory, cluster_hosts: ClusterHosts) -> NewCluster:
    """A factory of projects on bare hosts of their own."""

    def make(roles: Mapping[str, str], *, artifacts: Path | None = None, **spec: Any) -> ClusterProject:
        hosts = cluster_hosts(len(roles))
        root = tmp_path_factory.mktemp("cluster")
        project = ClusterProject(root, cluster_hosts.fleet, artifacts or supply.artifacts())
        project.has(zip(roles.items(), hosts, strict=True))
        project.consist_of(*roles, **spec)
        return project

    return make


@pytest.fixture(scope="module")
def hosts(project: ClusterProject) -> dict[str, Host]:
    """The machines of the file's project, by their names."""
    return project.machines


@pytest.fixture(scope="module")
def untouched(hosts: list[Host]) -> Before:
    """What a file's own list of `hosts` was before anything was done to them."""
    return Before(hosts)


class _Factory:
    def __init__(self) -> None:
        self.fleet = Fleet()

    def __call__(self, count: int) -> list[Host]:
        return self.fleet.up(count, data=DATA)
