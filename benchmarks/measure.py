"""Running a program and weighing it: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.contenders import Contender
from tests.e2e.testbed import Fleet, Host

BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Every tool may keep its compiled modules, as an installed one does."""


class RunFailed(Exception):
    """A measured program ended otherwise than it should have."""


@dataclass(frozen=True)
class Sample:
    """One run."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of the controller's processors, of the program and everything it started."""
    peak: int
    """Bytes: the largest process."""
    stopped: bool = False
    """It took too long and was ended: all it says is that it takes longer."""


@dataclass(frozen=True)
class Figure:
    """The medians of several runs."""

    wall: float
    cpu: float
    peak: int
    runs: int
    stopped: bool = False


def median(samples: Sequence[Sample]) -> Figure:
    """Each figure's own median."""
    return Figure(
        statistics.median(sample.wall for sample in samples),
        statistics.median(sample.cpu for sample in samples),
        int(statistics.median(sample.peak for sample in samples)),
        len(samples),
        any(sample.stopped for sample in samples),
    )


def weigh(
    contender: Contender, argv: Sequence[str], fleet: Fleet | None, patience: float | None = None
) -> Sample:
    """Run a tool's command, in the fleet's network if there is one. Raises `RunFailed`."""
    environment = BYTE_CODE | contender.environment
    directory, expected = str(contender.directory), contender.changes_something
    return sample(argv, directory, environment, fleet, expected, patience)


def sample(
    argv: Sequence[str],
    directory: str,
    environment: dict[str, str],
    fleet: Fleet | None = None,
    expected: Sequence[int] = (0,),
    patience: float | None = None,
) -> Sample:
    """Run a program and wait for it, for `patience` seconds at most.

    Raises `RunFailed` with the end of what it said.
    """
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = _start(argv, directory, environment, fleet, output)
        ended = threading.Event()
        stopped = threading.Event()

        def watch() -> None:
            if not ended.wait(patience):
                stopped.set()
                os.killpg(process.pid, signal.SIGKILL)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        ended.set()
        watcher.join()
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in expected and not stopped.is_set():
            output.seek(0)
            tail = output.read()[-3000:].decode(errors="replace")
            raise RunFailed(f"{' '.join(argv)} ended with {process.returncode}:\n{tail}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, stopped.is_set())


def _start(
    argv: Sequence[str], directory: str, environment: dict[str, str], fleet: Fleet | None, output: IO[bytes]
) -> subprocess.Popen[str]:
    if fleet is not None:
        return fleet.popen(
            argv,
            cwd=Path(directory),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return subprocess.Popen(
        argv,
        cwd=directory,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        text=True,
    )


def floor(fleet: Fleet, hosts: Sequence[Host], command: str = "true") -> Sample:
    """`ssh HOST COMMAND` on all hosts at once: nothing that logs in can be quicker."""
    began = time.monotonic()
    running = [
        fleet.popen(
            [*fleet.ssh_argv(host), command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for host in hosts
    ]
    cpu, peak = 0.0, 0
    for process in running:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RunFailed(f"ssh ended with {process.returncode}")
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss * 1024)
    return Sample(time.monotonic() - began, cpu, peak)
