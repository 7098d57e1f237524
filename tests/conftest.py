"""What every test run shares: hypothesis settings, and progress where there is no terminal."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no finding: time limits per example are off, pytest's own limit per test stays.
hypothesis.settings.register_profile(
    "kubexms",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.load_profile("kubexms")

_EVERY_SECONDS = 15.0
TESTBED_CACHE = "KUBEXMS_TESTBED_CACHE"


def pytest_configure(config: pytest.Config) -> None:
    """Print progress by the line where the output is kept, as in CI: dots would show nothing for minutes."""
    is_worker = hasattr(config, "workerinput")
    # each worker is a host of its own for `connection: local`: runs would wait for each other's host lock
    place = tempfile.mkdtemp(prefix="kubexms-host-")
    os.environ["KUBEXMS_HOST_STATE"] = place
    # the testbed's file systems are shared, as they take minutes to build
    os.environ.setdefault(TESTBED_CACHE, os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
    # what surrounds the tests is not what they test: a runner's CI would refuse every project's local state
    os.environ.pop("CI", None)
    config.add_cleanup(lambda: shutil.rmtree(place, ignore_errors=True))
    if not is_worker and not sys.stdout.isatty() and config.get_verbosity() == 0:
        config.pluginmanager.register(Progress(_to_terminal(config), time.monotonic), "progress-lines")


def _to_terminal(config: pytest.Config) -> Callable[[str], None]:
    def write(line: str) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(line)
            reporter.flush()

    return write


class Progress:
    """A pytest plugin: a line for each failure at once, and one of totals every few seconds."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._write, self._clock = write, clock
        self._started = self._last = clock()
        self._total = 0
        self._outcomes = {"passed": 0, "failed": 0, "skipped": 0}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn how many tests there are, in a run of one process."""
        self._total = max(self._total, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        """Learn how many tests there are, in a run of several."""
        self._total = max(self._total, len(ids))

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show no letter for what passed; failures are counted as ever."""
        if report.when == "call" and report.passed and not hasattr(report, "wasxfail"):
            return "passed", "", ""
        if report.skipped and not hasattr(report, "wasxfail"):
            return "skipped", "", "SKIPPED"  # the word is for the summary
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one report, and say so when it is time."""
        if report.failed:
            self._outcomes["failed"] += 1
            self._write(f"FAILED {report.nodeid} ({report.when}, {report.duration:.1f} s)")
        elif report.skipped or report.when == "call":
            self._outcomes[report.outcome] += 1
        now = self._clock()
        if now - self._last >= _EVERY_SECONDS:
            self._last = now
            counts = ", ".join(f"{number} {what}" for what, number in self._outcomes.items() if number)
            done = sum(self._outcomes.values())
            self._write(f"{now - self._started:5.0f} s  {done} of {self._total}: {counts}; {report.nodeid}")
