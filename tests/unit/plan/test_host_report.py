"""What a plan says of how a host answered."""

from __future__ import annotations

from pydantic import JsonValue

from kubexms.plan.assemble import host_report
from kubexms.plan.observe import HostAnswer
from kubexms.plan.working import HostWork
from kubexms.spec.inventory import Host


def facts_digest(**facts: JsonValue) -> str:
    """The digest of a host that told these facts."""
    work = HostWork(Host(name="n1"), {}, {})
    work.answer = HostAnswer("n1")
    work.answer.facts = facts
    return host_report(work).facts_digest


def test_a_clock_that_drifts_is_no_other_host() -> None:
    assert facts_digest(cpus=2, clock_skew=0) == facts_digest(cpus=2, clock_skew=10)
    assert facts_digest(cpus=2, clock_skew=0) != facts_digest(cpus=4, clock_skew=0)
