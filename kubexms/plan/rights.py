"""Hosts that are worked on by somebody who may not do what is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from kubexms.plan.model import PlanDiagnostic
from kubexms.plan.working import HostWork
from kubexms.step.observation import Presence

_DENIED = re.compile(r"permission denied|operation not permitted|access denied|are you root", re.IGNORECASE)


def denied(text: str) -> bool:
    """Whether a host's words say that somebody lacks the right."""
    return _DENIED.search(text) is not None


def become_root(facts: Mapping[str, JsonValue]) -> str:
    """What to do where the host denied something; empty for root, and where nobody knows who it was."""
    uid, user = facts.get("uid"), facts.get("user")
    if uid == 0 or not isinstance(uid, int) or not isinstance(user, str):
        return ""
    return f"It was {user}, not root: with `become: {{method: sudo}}` in the host's connection it is root."


def unseen_for_lack_of_rights(works: Mapping[str, HostWork]) -> Iterator[PlanDiagnostic]:
    """A warning for each host that does not let us see all that is asked about."""
    for work in works.values():
        if work.answer is None:
            continue
        advice = become_root(work.answer.facts)
        unseen = [
            address
            for address, seen in work.answer.seen.items()
            if seen.observation.presence is Presence.UNKNOWN and denied(seen.observation.reason)
        ]
        if advice and unseen:
            more = f" and {len(unseen) - 1} more" if len(unseen) > 1 else ""
            yield PlanDiagnostic(
                severity="warning",
                summary=f"{work.name} is not seen whole: {unseen[0]}{more} could not be observed",
                detail=f"The host denied permission. {advice}",
            )
