"""Killed at any moment: what a call returned for is there, the rest is whole or absent, no lock is left."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubexms.errors import StateLocked
from kubexms.state.filelock import holder_of
from kubexms.state.model import Intent, LockInfo, StepRecord, StepState
from kubexms.state.store import open_store

NOW = datetime(2030, 1, 2, tzinfo=UTC)
LIMIT = 60.0

WRITER = """
import sys, threading
from pathlib import Path
from tests.unit.state.test_crash import write
write(Path(sys.argv[1]), sys.argv[2])
"""


def write(directory: Path, lock: str) -> None:
    """Apply steps on three hosts for ever; a line per durable result on standard output."""
    import os
    import threading

    store = open_store(directory, "prod")
    info = LockInfo(id=lock, operation="apply", who="ann@desk", created=NOW, pid=os.getpid())
    with store.lock(info, timeout=LIMIT) as writer:
        os.write(1, b"locked\n")

        def work(host: int) -> None:
            for number in range(100_000):
                address = f"m/t/s{number}@n{host}"
                writer.open_intent(Intent(address=address, run=lock, kind="file", action="create", at=NOW))
                os.write(1, f"intent {address}\n".encode())
                entry = StepState(address=address, kind="file", spec={}, spec_digest=lock, order=number)
                done = StepRecord(address=address, kind="file", action="create", status="ok")
                writer.close_intent(done, run=lock, entry=entry)
                os.write(1, f"done {address}\n".encode())

        threads = [threading.Thread(target=work, args=(host,)) for host in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def start(directory: Path, lock: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), lock], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_was_told_is_lost(tmp_path: Path, seed: int) -> None:
    lines = random.Random(seed).choice([1, 3, 7, 40])
    store = open_store(tmp_path, "prod")
    for attempt in range(2):
        process = start(tmp_path, f"run{attempt}")
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        told += [line.strip() for line in process.stdout if line.endswith("\n")]
        process.stdout.close()
        process.wait(LIMIT)
        assert told[0] == "locked"
        snapshot = store.snapshot()
        done = {line.partition(" ")[2] for line in told if line.startswith("done")}
        intended = {line.partition(" ")[2] for line in told if line.startswith("intent")}
        assert done <= snapshot.steps.keys()
        assert intended - done <= snapshot.steps.keys() | snapshot.intents.keys()
        current = {
            address for address, entry in snapshot.steps.items() if entry.spec_digest == f"run{attempt}"
        }
        assert len(current) <= len(done) + 3, "one step in flight on each host"
        assert not {a for a, intent in snapshot.intents.items() if intent.run == f"run{attempt}"} & current
    with store.lock(LockInfo(id="after", operation="apply", who="me", created=NOW), timeout=0) as writer:
        writer.remove_host("n1")
    store.close()


def test_a_lock_is_held_against_other_processes_and_free_on_death(tmp_path: Path) -> None:
    process = start(tmp_path, "other")
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    store = open_store(tmp_path, "prod")
    mine = LockInfo(id="mine", operation="apply", who="me", created=NOW)
    try:
        with pytest.raises(StateLocked, match="ann@desk") as caught, store.lock(mine, timeout=0):
            pass
        assert str(process.pid) in caught.value.detail
        holder = holder_of(tmp_path / "prod.lock")
        assert holder is not None
        assert (holder.id, holder.pid) == ("other", process.pid)
        assert store.snapshot().meta.workspace == "prod", "reading takes no lock"
    finally:
        process.kill()
        process.stdout.close()
        process.wait(LIMIT)
    with store.lock(mine, timeout=LIMIT):
        now = holder_of(tmp_path / "prod.lock")
        assert now is not None
        assert now.id == "mine"
    assert holder_of(tmp_path / "prod.lock") is None
    store.close()
