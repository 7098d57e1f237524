"""DriftReport: what one look at the hosts found, as data for services, views and tests alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kubexms.plan.model import Change

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class DriftReport:
    """What drifted, and apart from it what is otherwise not as it could be.

    Each drifted change leads from what was applied last (`before`) to what is there now (`after`).
    Everything else is no drift and hides none: a host is in one of `unreachable`, `maintenance` and
    `applying` or was looked at; an address of a host that was looked at is drifted, unknown or clean.
    """

    drifted: tuple[Change, ...] = ()
    pending: tuple[Change, ...] = ()
    """Changes of the documents that are not applied yet. A step may be drifted and pending."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Host -> why it did not answer."""
    behind: tuple[str, ...] = ()
    """Hosts that missed an apply, or on which the last one did not finish."""
    untracked: tuple[str, ...] = ()
    """Addresses of the documents that were never applied."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Address -> why it could not be observed."""
    maintenance: Mapping[str, str] = field(default_factory=dict)
    """Host -> why it is left alone."""
    applying: Mapping[str, str] = field(default_factory=dict)
    """Host -> the run that was changing it meanwhile: what it looks like half-way is not drift."""
    hosts: tuple[str, ...] = ()
    """Every host that this was about, sorted."""
    steps: tuple[str, ...] = ()
    """Every address that was applied and can be compared, on all hosts, sorted."""
    since: Mapping[str, datetime] = field(default_factory=dict)
    """Drifted address -> the first run that found it so, where there is a history."""
    facts_at: Mapping[str, datetime] = field(default_factory=dict)
    """Host that was not asked -> when its facts, which templates of others read, were seen last."""
    repaired: tuple[str, ...] = ()
    """Addresses that `--repair` has put back; they are not among `drifted` any more."""
    left: Mapping[str, str] = field(default_factory=dict)
    """Drifted address -> why `--repair` left it alone."""
    notes: tuple[str, ...] = ()
    """Sentences about the run itself."""
    project: str = ""
    workspace: str = ""
    tool_version: str = ""
    started: datetime = NEVER
    seconds: float = 0.0
    """How long it took."""

    @property
    def exit_code(self) -> int:
        """2 drift (wins), 3 no drift but hosts unreachable, 0 clean."""
        return 2 if self.drifted else 3 if self.unreachable else 0

    @property
    def finished(self) -> datetime:
        """When the last answer was in."""
        return self.started + timedelta(seconds=self.seconds)

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The addresses that were compared, drifted or clean."""
        missing = {*self.unreachable, *self.maintenance, *self.applying}
        return tuple(
            address
            for address in self.steps
            if address not in self.unknown and address.rpartition("@")[2] not in missing
        )
