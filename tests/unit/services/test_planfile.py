"""Saved plans: whole or refused."""

from __future__ import annotations

import copy
import json
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kubexms.errors import PlanDamaged, PlanError
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import Change, Plan
from kubexms.services.planfile import read_plan, write_plan
from kubexms.step.contract import ActionKind
from tests.golden import cases

PLAN = Plan(
    tool_version="0",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    workspace="default",
    lineage="l",
    serial=1,
    spec_digest="v1:p",
    changes=(Change(address="m/t/s@n1", kind="toy", action=ActionKind.CREATE, after={"colour": "\udce9"}),),
)


def mixed_document() -> dict[str, Any]:
    """A saved plan with a bit of everything, as data."""
    with tempfile.TemporaryDirectory() as directory:
        write_plan(next(case for case in cases.CASES if case.name == "mixed").plan(), Path(directory) / "p")
        document: dict[str, Any] = json.loads((Path(directory) / "p").read_text())
    return document


def test_written_and_read_back_equal(tmp_path: Path) -> None:
    digest = write_plan(PLAN, tmp_path / "p")
    assert read_plan(tmp_path / "p") == PLAN
    assert digest == plan_digest(PLAN)
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(position=st.integers(min_value=0), byte=st.integers(min_value=0, max_value=255))
def test_a_changed_byte_is_refused(tmp_path: Path, position: int, byte: int) -> None:
    write_plan(PLAN, tmp_path / "p")
    data = bytearray((tmp_path / "p").read_bytes())
    assume(data[position % len(data)] != byte)
    data[position % len(data)] = byte
    (tmp_path / "q").write_bytes(bytes(data))
    with pytest.raises(PlanDamaged, match="q"):
        read_plan(tmp_path / "q")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(first=st.integers(0, 700), length=st.integers(1, 200), to=st.integers(0, 700), noise=st.binary())
def test_a_cut_moved_or_inserted_piece_is_refused(
    tmp_path: Path, first: int, length: int, to: int, noise: bytes
) -> None:
    write_plan(PLAN, tmp_path / "p")
    data = (tmp_path / "p").read_bytes()
    piece, rest = data[first : first + length], data[:first] + data[first + length :]
    changed = rest[:to] + noise + (piece if len(noise) % 2 else b"") + rest[to:]
    assume(changed != data)
    (tmp_path / "q").write_bytes(changed)
    with pytest.raises(PlanDamaged, match="q"):
        read_plan(tmp_path / "q")


def _members(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*path, name)
        yield from _members(item, (*path, name))


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


MIXED = mixed_document()


@pytest.mark.parametrize("path", list(_members(MIXED)), ids=lambda path: ".".join(map(str, path)))
def test_every_field_that_is_swapped_or_dropped_is_refused(tmp_path: Path, path: tuple[Any, ...]) -> None:
    others: tuple[Any, ...] = (None, "", 7, "2027-01-01T00:00:00Z", [], {}, True, ...)
    for value in others:
        document = copy.deepcopy(MIXED)
        parent = _at(document, path[:-1])
        if parent[path[-1]] == value and type(parent[path[-1]]) is type(value):
            continue
        if value is ...:
            del parent[path[-1]]
        else:
            parent[path[-1]] = value
        text = json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"
        (tmp_path / "q").write_text(text)
        with pytest.raises(PlanDamaged, match="q"):
            read_plan(tmp_path / "q")


def test_a_plan_that_was_only_reformatted_is_refused(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "p")
    document = json.loads((tmp_path / "p").read_text())
    (tmp_path / "p").write_text(json.dumps(document, indent=2))
    with pytest.raises(PlanDamaged, match="not as it was written"):
        read_plan(tmp_path / "p")


def test_the_digest_leaves_out_the_time_and_nothing_else() -> None:
    later = PLAN.model_copy(update={"created": datetime(2027, 1, 1, tzinfo=UTC)})
    assert plan_digest(later) == plan_digest(PLAN)
    for update in ({"serial": 2}, {"workspace": "x"}, {"changes": ()}, {"tool_version": "1"}):
        assert plan_digest(PLAN.model_copy(update=update)) != plan_digest(PLAN)


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -2])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    write_plan(PLAN, tmp_path / "p")
    (tmp_path / "p").write_bytes((tmp_path / "p").read_bytes()[:cut])
    with pytest.raises(PlanDamaged, match="p"):
        read_plan(tmp_path / "p")


def test_a_swapped_field_is_refused(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "p")
    document = json.loads((tmp_path / "p").read_text())
    document["plan"]["changes"][0]["action"] = "delete"
    (tmp_path / "p").write_text(json.dumps(document))
    with pytest.raises(PlanDamaged, match="digest"):
        read_plan(tmp_path / "p")


def test_a_newer_format_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "p")
    document = json.loads((tmp_path / "p").read_text()) | {"version": "2"}
    (tmp_path / "p").write_text(json.dumps(document))
    with pytest.raises(PlanDamaged) as caught:
        read_plan(tmp_path / "p")
    assert "made it" in caught.value.detail


def test_a_missing_file_and_an_unwritable_directory_are_said(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="No such file"):
        read_plan(tmp_path / "none")
    with pytest.raises(PlanError, match="cannot write"):
        write_plan(PLAN, tmp_path / "none" / "p")


@pytest.mark.parametrize("part", ["changes", "drift"])
def test_an_address_that_is_none_is_refused_whatever_the_digest(tmp_path: Path, part: str) -> None:
    change = PLAN.changes[0].model_copy(update={"address": "nowhere"})
    write_plan(PLAN.model_copy(update={part: (change,)}), tmp_path / "p")
    with pytest.raises(PlanDamaged, match="not a plan"):
        read_plan(tmp_path / "p")
