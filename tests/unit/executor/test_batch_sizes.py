"""How `maxParallel` divides hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.errors import ConfigError
from kubexms.executor.rolling import batch_sizes


@pytest.mark.parametrize(
    ("parallel", "hosts", "sizes"),
    [
        (1, 3, [1, 1, 1]),
        (5, 3, [3]),
        ("25%", 10, [2, 2, 2, 2, 2]),
        ("10%", 5, [1, 1, 1, 1, 1]),
        ("100%", 5, [5]),
        ((1, 5, "25%"), 20, [1, 5, 5, 5, 4]),
        (("3",), 4, [3, 1]),
        (2, 0, []),
    ],
)
def test_sizes(parallel: int | str | tuple[int | str, ...], hosts: int, sizes: list[int]) -> None:
    assert batch_sizes(parallel, hosts) == sizes


@pytest.mark.parametrize("parallel", [0, -1, "0%", "101%", "some", "", "²", ()])
def test_what_is_no_size_is_refused(parallel: int | str | tuple[int | str, ...]) -> None:
    with pytest.raises(ConfigError, match="maxParallel"):
        batch_sizes(parallel, 4)


@given(
    st.lists(st.one_of(st.integers(1, 20), st.integers(1, 100).map("{}%".format)), min_size=1),
    st.integers(0, 300),
)
def test_every_host_is_in_one_batch(parallel: list[int | str], hosts: int) -> None:
    sizes = batch_sizes(tuple(parallel), hosts)
    assert sum(sizes) == hosts
    assert all(size >= 1 for size in sizes)
