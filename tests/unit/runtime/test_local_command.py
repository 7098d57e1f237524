"""One-off commands of the controller."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kubexms.runtime.connect import Ending, run_local_command


def test_output_status_and_input() -> None:
    result = run_local_command(
        ["sh", "-c", "cat; echo $X >&2; exit 3"], timeout=10, stdin=b"in", environment={"X": "1"}
    )
    assert (result.status, result.stdout, result.stderr, result.timed_out) == (3, b"in", b"1\n", False)


def test_a_command_that_is_not_there() -> None:
    assert run_local_command(["no-such-command-at-all"], timeout=10).status == 127


def test_the_time_limit_ends_all_of_it() -> None:
    # whoever waited for their end would wait longer than a test may take
    result = run_local_command(["sh", "-c", "echo x; sleep 1000 | sleep 1000"], timeout=0.3)
    assert (result.timed_out, result.status) == (True, 124)


def test_another_thread_ends_what_runs_and_what_would_begin() -> None:
    ending = Ending()
    reader, writer = os.pipe()
    command = ["sh", "-c", f"echo >/proc/{os.getpid()}/fd/{writer}; sleep 1000 | sleep 1000"]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_local_command, command, timeout=900, ending=ending)
        os.read(reader, 1)
        ending.now()
        assert running.result().status == -9
    assert run_local_command(["sleep", "1000"], timeout=900, ending=ending).status == -9
    os.close(reader)
    os.close(writer)


def test_the_directory(tmp_path: Path) -> None:
    assert (
        run_local_command(["pwd"], timeout=10, directory=str(tmp_path)).stdout.strip()
        == str(tmp_path).encode()
    )


def test_a_command_that_never_stops_printing_is_ended() -> None:
    result = run_local_command(["yes"], timeout=60)
    assert (result.status, result.timed_out) == (125, False)
    assert result.stderr == b"printed more than 16 MiB, and was ended\n"


def test_of_a_flood_the_end_may_be_all_that_is_wanted() -> None:
    result = run_local_command(
        ["sh", "-c", "yes | head -c 40000000; echo end; exit 3"], timeout=60, tail=True
    )
    assert result.status == 3
    assert result.stdout.endswith(b"y\nend\n")
    assert len(result.stdout) < 40_000_000


def test_both_ways_at_once() -> None:
    data = b"x" * 5_000_000
    result = run_local_command(["sh", "-c", "tee /dev/stderr"], timeout=60, stdin=data)
    assert (result.status, result.stdout, result.stderr) == (0, data, data)


def test_input_that_nobody_reads_is_no_failure() -> None:
    assert run_local_command(["true"], timeout=60, stdin=b"x" * 5_000_000).status == 0
