"""Hosts that Kubernetes can run on, and what it is installed from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e.cluster import supply
from tests.e2e.testbed import Fleet, Host

DATA = ("/var/lib/containerd", "/var/lib/etcd")
"""What cannot be on an overlay (containerd's snapshots are overlays), or is slow there (etcd's log)."""


class ClusterHosts(Protocol):
    """Boots bare hosts, all neighbours."""

    def __call__(self, count: int) -> list[Host]: ...

    @property
    def fleet(self) -> Fleet:
        """The fleet that they are in."""


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


class _Factory:
    def __init__(self) -> None:
        self.fleet = Fleet()

    def __call__(self, count: int) -> list[Host]:
        return self.fleet.up(count, data=DATA)
