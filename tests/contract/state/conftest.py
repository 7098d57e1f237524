"""Every store that the suite is run against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubexms.state.memory import MemoryStore
from kubexms.state.protocol import StateStore
from kubexms.state.store import open_store

Make = Callable[[], StateStore]


@pytest.fixture(params=["sqlite", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    opened: list[StateStore] = []

    def build() -> StateStore:
        number = len(opened)
        sqlite = request.param == "sqlite"
        opened.append(open_store(tmp_path / str(number), "prod") if sqlite else MemoryStore("prod"))
        return opened[-1]

    yield build
    for store in opened:
        store.close()
        store.close()


@pytest.fixture
def store(make: Make) -> StateStore:
    return make()
