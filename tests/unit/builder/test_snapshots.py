"""The program that takes snapshots of etcd, run by sh with an etcdctl that writes what it is told to."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from kubexms.builder.snapshots import script
from kubexms.spec.cluster.etcd import EtcdBackupSpec

ETCDCTL = """\
#!/bin/sh
for last; do :; done
case "$*" in
*'snapshot save'*) echo data >"$last"; [ ! -e "$BROKEN" ] ;;
*'snapshot status'*) [ ! -e "$DAMAGED" ] ;;
esac
"""
NAMES = [f"etcd-2026010{day}T000000Z.db" for day in range(1, 5)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "var" / "backups"
    made.mkdir(parents=True)
    return made


def run(directory: Path, *failing: str, keep: int = 2) -> subprocess.CompletedProcess[str]:
    root = directory.parent.parent
    (root / "etcdctl").write_text(ETCDCTL)
    (root / "etcdctl").chmod(0o755)
    for name in failing:
        (root / name).touch()
    variables = {
        "PATH": f"{root}:{os.environ['PATH']}",
        "BROKEN": str(root / "broken"),
        "DAMAGED": str(root / "damaged"),
    }
    text = script(EtcdBackupSpec.model_construct(directory=str(directory), keep=keep))
    return subprocess.run(["sh", "-c", text], env=variables, capture_output=True, text=True, timeout=30)


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_oldest_go_and_what_is_not_a_snapshot_stays(directory: Path) -> None:
    others = ["mine.db", "etcd-20260101T000000Z.db.bak", "etcd-today.db", "-rf"]
    for name in (*NAMES, *others):
        (directory / name).touch()
    done = run(directory)
    assert done.returncode == 0, done.stderr
    new = re.search(r"the snapshot is \S+/(\S+)", done.stdout)
    assert new is not None
    assert left(directory) == sorted([*others, NAMES[-1], new.group(1)])
    assert (directory / new.group(1)).stat().st_mode & 0o777 == 0o600
    assert [line.rpartition("/")[2] for line in done.stdout.splitlines()[1:]] == NAMES[:3][::-1]


@pytest.mark.parametrize("failing", ["broken", "damaged"])
def test_one_that_is_not_whole_removes_nothing_and_leaves_nothing(directory: Path, failing: str) -> None:
    for name in NAMES:
        (directory / name).touch()
    assert run(directory, failing).returncode != 0
    assert left(directory) == NAMES


def test_what_was_cut_off_is_cleared_by_the_next(directory: Path) -> None:
    for name in (".etcd-20260101T000000Z.db.new", ".etcd-20260101T000000Z.db.new.part"):
        (directory / name).touch()
    assert run(directory).returncode == 0
    assert len(left(directory)) == 1


def test_the_directory_is_made_and_is_nobody_elses(tmp_path: Path) -> None:
    directory = tmp_path / "backups" / "etcd"
    assert run(directory).returncode == 0
    assert directory.stat().st_mode & 0o777 == 0o700
