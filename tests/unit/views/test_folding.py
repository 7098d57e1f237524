"""Folding loses nothing and reads well."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubexms.views.folding import expand, fold, fold_text, natural

NAMES = st.lists(
    st.from_regex(r"[a-z]{0,2}[0-9]{0,3}[.-]?[a-z]?[0-9]{0,3}", fullmatch=True).filter(bool), max_size=40
)


@given(NAMES)
@example(["n08", "n09", "n10", "n8", "n9", "n100"])
@example(["0", "00", "000", "1", "01"])
def test_expand_undoes_fold(names: list[str]) -> None:
    once = sorted(set(names), key=natural)
    assert expand(fold(names)) == once
    assert expand(fold_text(names)) == once
    assert len(fold(names)) <= len(once)


@given(st.lists(st.text(alphabet="ab0189٣.", max_size=6), max_size=10))
def test_natural_order_is_total(names: list[str]) -> None:
    assert len({natural(name) for name in names}) == len(set(names))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["n1"], "n1"),
        ([f"n{i:02}" for i in range(1, 31)], "n[01-30]"),
        (["n1", "n2"], "n[1,2]"),
        (["n01", "n02", "n03", "n07"], "n[01-03,07]"),
        (["n9", "n10", "n11"], "n[9-11]"),
        (["n01.dc1.example.com", "n02.dc1.example.com", "n03.dc1.example.com"], "n[01-03].dc1.example.com"),
        (["a1", "a2", "a3", "b1", "db"], "a[1-3], b1, db"),
        (["10.0.0.1", "10.0.0.2", "10.0.0.3"], "10.0.0.[1-3]"),
    ],
)
def test_reads_well(names: list[str], text: str) -> None:
    assert fold_text(names) == text
