"""Saved plans: whole or refused."""

from __future__ import annotations

import contextlib
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexms.errors import PlanDamaged, PlanError
from kubexms.plan.model import Change, Plan
from kubexms.services.planfile import plan_digest, read_plan, write_plan
from kubexms.step.contract import ActionKind

PLAN = Plan(
    tool_version="0",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    workspace="default",
    lineage="l",
    serial=1,
    spec_digest="v1:p",
    changes=(Change(address="m/t/s@n1", kind="toy", action=ActionKind.CREATE, after={"colour": "\udce9"}),),
)


def test_written_and_read_back_equal(tmp_path: Path) -> None:
    digest = write_plan(PLAN, tmp_path / "p")
    assert read_plan(tmp_path / "p") == PLAN
    assert digest == plan_digest(PLAN)
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(position=st.integers(min_value=0), byte=st.integers(min_value=0, max_value=255))
def test_a_changed_byte_is_refused_or_means_the_same(tmp_path: Path, position: int, byte: int) -> None:
    write_plan(PLAN, tmp_path / "p")
    data = bytearray((tmp_path / "p").read_bytes())
    data[position % len(data)] = byte
    (tmp_path / "q").write_bytes(bytes(data))
    with contextlib.suppress(PlanDamaged):
        assert read_plan(tmp_path / "q") == PLAN


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
