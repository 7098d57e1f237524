"""Fixtures for tests on real hosts.

Every test below this directory is marked `e2e` and is skipped with the reason where hosts cannot be had.
`make test` gives a whole file to one worker (`--dist loadfile`), and each worker has a fleet of its own: keep
files short enough to balance, and set up what is dear once per file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from tests.e2e.testbed import Fleet, Host, Kind, missing


class FreshHost(Protocol):
    """Boots a host that no other test has touched; further calls in a test boot neighbours of it."""

    def __call__(self, kind: Kind = "systemd", **options: Any) -> Host: ...

    @property
    def fleet(self) -> Fleet:
        """The fleet that the test's hosts are in; made at the first use."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark each test below this directory."""
    item.add_marker(pytest.mark.e2e)
    if reason := missing():
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Three systemd hosts that all tests of a worker share: leave them as you found them."""
    with Fleet() as shared:
        shared.up(3)
        yield shared


@pytest.fixture
def fresh_host() -> Iterator[FreshHost]:
    """A factory of hosts of the test's own, taken down after it; takes `Fleet.up`'s options."""
    factory = _Factory()
    yield factory
    factory.down()


class _Factory:
    def __init__(self) -> None:
        self._fleet: Fleet | None = None

    @property
    def fleet(self) -> Fleet:
        self._fleet = self._fleet or Fleet()
        return self._fleet

    def __call__(self, kind: Kind = "systemd", **options: Any) -> Host:
        [host] = self.fleet.up(1, kind=kind, **options)
        return host

    def down(self) -> None:
        if self._fleet is not None:
            self._fleet.down()
