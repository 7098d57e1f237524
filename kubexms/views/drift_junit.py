"""Drift as JUnit XML: a suite per host, a case per step; drift is a failure, an unreachable host an error.

Format: the common ground of CI systems, as junitparser writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubexms.plan.driftreport import DriftReport
from kubexms.plan.model import Change
from kubexms.spec.address import Address
from kubexms.views import wording
from kubexms.views.changes import change_lines, folded
from kubexms.views.extras import missing
from kubexms.views.paint import plain

if TYPE_CHECKING:
    from junitparser import TestCase

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def drift_junit(report: DriftReport) -> str:
    """The document. Raises `OutputError` where junitparser is not installed."""
    try:
        from junitparser import JUnitXml, TestSuite
    except ImportError as error:
        raise missing("--junit", "reports", error) from error
    drifted = {change.address: change for change in report.drifted}
    apart = {**_skipped(report), **{host: ("error", f"{why}") for host, why in report.unreachable.items()}}
    steps: dict[str, list[str]] = {host: [] for host in report.hosts}
    for address in report.steps:
        steps.setdefault(address.rpartition("@")[2], []).append(address)
    document = JUnitXml(_legal(f"kubexms drift {report.workspace}".strip()))
    for host, addresses in sorted(steps.items()):
        suite = TestSuite(_legal(host))
        suite.timestamp = report.started.isoformat(timespec="seconds")
        for address in sorted(addresses, key=Address.parse):
            suite.add_testcase(_case(address, drifted.get(address), apart.get(host), report.unknown))
        if not addresses and host in report.unreachable:
            suite.add_testcase(_case(f"//reachable@{host}", None, apart[host], {}))
        document.add_testsuite(suite)
    document.update_statistics()  # type: ignore[no-untyped-call]  # junitparser's
    document.time = round(report.seconds, 3)
    text = document.tostring()  # type: ignore[no-untyped-call]
    body = text.decode() if isinstance(text, bytes) else str(text)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _skipped(report: DriftReport) -> dict[str, tuple[str, str]]:
    found = {host: ("skipped", f"in maintenance: {why}") for host, why in report.maintenance.items()}
    return found | {host: ("skipped", f"being changed by run {run}") for host, run in report.applying.items()}


def _case(
    address: str, change: Change | None, host: tuple[str, str] | None, unknown: Mapping[str, str]
) -> TestCase:
    from junitparser import Error, Failure, Skipped, TestCase

    module, task, step = address.rpartition("@")[0].split("/", 2)
    case = TestCase(_legal(step), _legal(f"{module}/{task}".strip("/")))
    if host is not None:
        kind, why = host
        case.result = [Error(_legal(why), "unreachable") if kind == "error" else Skipped(_legal(why))]
    elif change is not None:
        failure = Failure(_legal(_message(change)), "drift")
        (group,) = folded([change])
        failure.text = _legal("\n".join(change_lines(group, plain, words=wording.happened(change))))
        case.result = [failure]
    elif address in unknown:
        case.result = [Skipped(_legal(unknown[address]))]
    return case


def _message(change: Change) -> str:
    names = f": {', '.join(change.changed)}" if change.action.value == "update" else ""
    return f"{change.summary or change.kind} {wording.happened(change)}{names}"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)
