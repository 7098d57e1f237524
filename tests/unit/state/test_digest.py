"""Digests: equal for equal data, for years."""

from __future__ import annotations

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from kubexms.spec.base import FrozenModel
from kubexms.state.digest import canonical_json, digest, keyed_digest, plain_json, same_digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


class Colour(StrEnum):
    RED = "red"


class Thing(FrozenModel):
    name: str
    mode: str = "0644"
    tags: tuple[str, ...] = Field(default=())


def test_the_format_does_not_change() -> None:
    assert canonical_json({"b": [1, None, True], "a": "ü"}) == '{"a":"ü","b":[1,null,true]}'.encode()
    assert digest({"b": [1, None, True], "a": "ü"}) == (
        "v1:7f6d95bfd383437ee2aa0ade81e5acd419f8bd82623b53300960e6219e8fc343"
    )
    assert keyed_digest(bytes(32), "secret") == (
        "v1k:57829623530cce2239437f7aaceb84927f194d26106bdcbc78edaaccca2776a9"
    )


def test_defaults_count_for_nothing() -> None:
    assert digest(Thing(name="x")) == digest(Thing(name="x", mode="0644")) == digest({"name": "x"})
    assert digest(Thing(name="x")) != digest(Thing(name="x", mode="0600"))


def test_types_that_say_the_same() -> None:
    assert plain_json((Colour.RED, {"b", "a"}, Thing(name="x", tags=("t",)))) == [
        "red",
        ["a", "b"],
        {"name": "x", "tags": ["t"]},
    ]


@pytest.mark.parametrize("value", [b"x", {1: 2}, object(), [b"x"]])
def test_what_is_no_json(value: object) -> None:
    with pytest.raises(TypeError):
        digest(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest(value)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        keyed_digest(b"short", "x")


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@given(JSON, JSON, st.binary(min_size=32, max_size=32))
def test_equal_means_equal(one: object, other: object, key: bytes) -> None:
    equal = canonical_json(one) == canonical_json(other)
    assert same_digest(digest(one), digest(other)) is equal
    assert (keyed_digest(key, one) == keyed_digest(key, other)) is equal
    assert digest(one) != keyed_digest(key, one)
