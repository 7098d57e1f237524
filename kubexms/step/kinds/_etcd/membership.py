"""Becoming a member of etcd, and no longer being one."""

from __future__ import annotations

import re

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import PeerContext, StepContext
from kubexms.step.kinds._etcd import scripts
from kubexms.step.kinds._etcd.council import Council, council, through
from kubexms.step.kinds._etcd.survey import Place

LIMIT = 600.0
"""Seconds for a member to start and to get the data of the others."""

_INITIAL = re.compile(r"(?m)^initial (\S+)$")


def enter(context: StepContext, place: Place) -> Outcome:
    """Become a member with a vote, or the first of a new etcd; one that is a member only keeps that it is.

    Raises `StepError`, with nothing done, where neither is certain to be right.
    """
    compared = context.exchange(Action(":"), verify=False)
    if not compared.acted:
        return compared
    now = context.observe()
    status, listed = now.attributes.get("status", "absent"), now.extra.get("listed")
    if status == "unrecorded":
        return context.exchange(Action(scripts.adopt(place), timeout=LIMIT))
    asked = council(context, place)
    if asked.ready:
        goes_on = status in ("partial", "learner") and listed in ("voter", "learner")
        return _join(context, place, asked.ready[0], goes_on=goes_on)
    _first(place, str(status), asked)
    context.progress("no member yet: this host begins the etcd of the cluster")
    return context.exchange(Action(scripts.begin(place), timeout=LIMIT))


def _join(context: StepContext, place: Place, peer: PeerContext, *, goes_on: bool) -> Outcome:
    context.progress(f"joins through {peer.host}")
    if goes_on:
        script = scripts.go_on(place)
    else:
        found = _INITIAL.search(through(peer, scripts.add(place), f"let {place.name} in"))
        if found is None:
            raise StepError(
                f"{peer.host} does not say who the members are: etcdctl says something unforeseen"
            )
        script = scripts.join(place, found.group(1))
    started = context.exchange(Action(script, timeout=LIMIT), verify=False)
    if started.timed_out or started.status != 0:
        return started
    through(peer, scripts.promote(place), f"give {place.name} its vote")
    return context.exchange(Action(scripts.finish(place), timeout=LIMIT))


def _first(place: Place, status: str, asked: Council) -> None:
    """Whether this host may begin, with nobody ready to join through."""
    if status in ("lost", "removed"):
        raise StepError(
            "this host was a member of etcd, its data is gone, and no other member is healthy: make the data "
            "from a snapshot, or repair another member; an empty etcd is never begun in its place",
            detail=f"{asked.reasons()}\n`etcd.restore` in a cluster's document makes it from one.".strip(),
        )
    if asked.silent or asked.unready:
        raise StepError(
            "no member of etcd is healthy, and not all hosts are known to have none",
            detail=f"{asked.reasons()}\nA second etcd is never begun because a host does not answer: repair "
            "that host, or take it out of the inventory, and apply again.",
        )
    first = next(iter(place.members))
    if first != place.name:
        raise StepError(
            "there is no etcd to join yet",
            detail=f"Only the first of its hosts ({first}) begins one. See why it has not.",
        )


def leave(context: StepContext, place: Place) -> Outcome:
    """Out of etcd through another member, then cleared. Raises `StepError` where a quorum would suffer."""
    compared = context.exchange(Action(":"), verify=False)
    if not compared.acted:
        return compared
    asked = council(context, place)
    if asked.ready:
        left = len(asked.ready) + len(asked.unready) + len(asked.silent)
        if len(asked.ready) < left // 2 + 1:
            raise StepError(
                f"without this member {len(asked.ready)} of {left} would be healthy; "
                f"etcd needs {left // 2 + 1}",
                detail=f"{asked.reasons()}\nRepair them first.",
            )
        through(asked.ready[0], scripts.remove(place), f"take {place.name} out of etcd")
    elif asked.silent or asked.unready:
        raise StepError(
            "no other member of etcd is healthy, so that this one cannot be taken out",
            detail=f"{asked.reasons()}\nRepair them first. One that is gone for good is taken out of the "
            "inventory and forgotten (`kubexms state forget --host`).",
        )
    return context.exchange(Action(scripts.reset(place), timeout=LIMIT))
