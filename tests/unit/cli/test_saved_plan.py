"""Saved plans through the program: their digest, refusals, and that a refusal touches nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.unit.cli.test_program import INVENTORY, PIPELINE, in_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a saved plan, `p`, of a directory and a file in it."""
    made = tmp_path / "project"
    made.mkdir()
    (made / "pipeline.yaml").write_text(PIPELINE)
    (made / "inventory.yaml").write_text(INVENTORY)
    (made / "vars.yaml").write_text(f"target: {tmp_path / 'target'}\n")
    saved = in_project(made, "plan --out p")
    assert saved.returncode == 0, saved
    digest = _digest(made)
    assert f"\nIts digest: {digest}\n" in saved.stdout
    return made


def _digest(root: Path) -> str:
    return str(json.loads(in_project(root, "show p --format json").stdout)["kubexms"]["digest"])


def test_the_digest_that_was_approved_must_match(root: Path, tmp_path: Path) -> None:
    digest = _digest(root)
    wrong = "sha256:" + "0" * 64
    refused = in_project(root, f"apply p --digest {wrong}")
    assert refused.returncode == 1
    assert f"the plan's digest is {digest}, not {wrong}" in refused.stderr
    assert not (tmp_path / "target").exists()
    done = in_project(root, f"apply p --digest {digest}")
    assert done.returncode == 0, done
    assert (tmp_path / "target/hello").exists()


def test_a_plan_made_again_has_the_digest_that_was_approved(root: Path) -> None:
    digest = _digest(root)
    in_project(root, "plan --out p")
    assert _digest(root) == digest
    assert in_project(root, f"apply p --digest {digest}").returncode == 0
    in_project(root, "plan --out p")
    assert _digest(root) != digest


def test_a_stream_says_where_the_plan_is_and_its_digest(root: Path) -> None:
    lines = [json.loads(line) for line in in_project(root, "plan --json --out p").stdout.splitlines()]
    assert lines[-1]["kubexms"] == {"plan": "p", "digest": _digest(root)}
    assert lines[-1]["type"] == "log"


def test_a_damaged_plan_touches_nothing(root: Path, tmp_path: Path) -> None:
    whole = (root / "p").read_bytes()
    chance = random.Random(7)
    flipped = bytearray(whole)
    flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(7)
    swapped = whole.replace(b'"action":"create"', b'"action":"delete"', 1)
    assert swapped != whole
    before = {path: path.read_bytes() for path in (root / "state").rglob("*") if path.is_file()}
    for command, damaged in (
        ("apply q", whole[: len(whole) // 2]),
        ("apply q", bytes(flipped)),
        ("apply q --on-stale skip-host", swapped),
        ("apply q --resume", b""),
        ("show q", b"\x00" * 100),
        ("show q --format json", whole + whole),
    ):
        (root / "q").write_bytes(damaged)
        refused = in_project(root, command)
        assert refused.returncode == 1
        assert refused.stderr.startswith("Error: ")
        assert "Make a new one with `kubexms plan --out`." in refused.stderr
    assert not (tmp_path / "target").exists()
    assert before == {path: path.read_bytes() for path in (root / "state").rglob("*") if path.is_file()}


def test_a_refusal_names_every_step_with_its_three_values(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    target.chmod(0o700)
    (target / "hello").write_text("somebody\n")
    (target / "hello").chmod(0o600)
    refused = in_project(root, "apply p")
    assert refused.returncode == 1
    assert "m/t/root@here: observation moved" in refused.stderr
    assert '  mode: planned from absent, observed now "0700", desired "0755"\n' in refused.stderr
    assert "m/t/hello@here: observation moved" in refused.stderr
    assert '  mode: planned from absent, observed now "0600", desired "0644"\n' in refused.stderr
    assert (target / "hello").read_text() == "somebody\n"
