"""One-off commands of the controller."""

from __future__ import annotations

import time
from pathlib import Path

from kubexms.runtime.connect import run_local_command


def test_output_status_and_input() -> None:
    result = run_local_command(
        ["sh", "-c", "cat; echo $X >&2; exit 3"], timeout=10, stdin=b"in", environment={"X": "1"}
    )
    assert (result.status, result.stdout, result.stderr, result.timed_out) == (3, b"in", b"1\n", False)


def test_a_command_that_is_not_there() -> None:
    assert run_local_command(["no-such-command-at-all"], timeout=10).status == 127


def test_the_time_limit_ends_all_of_it() -> None:
    began = time.monotonic()
    result = run_local_command(["sh", "-c", "echo x; sleep 60 | sleep 60"], timeout=0.3)
    assert (result.timed_out, result.status) == (True, 124)
    assert time.monotonic() - began < 10


def test_the_directory(tmp_path: Path) -> None:
    assert (
        run_local_command(["pwd"], timeout=10, directory=str(tmp_path)).stdout.strip()
        == str(tmp_path).encode()
    )
