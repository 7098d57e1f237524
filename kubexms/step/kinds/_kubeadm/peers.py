"""What the control planes say, asked by a host that wants to join or to leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import PeerContext, StepContext
from kubexms.step.kinds._kubeadm.survey import PEER, Survey, read_peer


@dataclass(frozen=True)
class Member:
    """A control plane whose API server is ready."""

    peer: PeerContext
    survey: Survey


@dataclass(frozen=True)
class Council:
    """The other control planes, each in one of four groups, in the order of the specification."""

    ready: tuple[Member, ...] = ()
    unready: tuple[str, ...] = ()
    """Members whose API server is not ready, and hosts that are half set up; each with the reason."""
    absent: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    """Those that did not answer, each with the reason. They may well be members."""
    gone: tuple[str, ...] = ()
    """Those that are no longer in the inventory."""

    def reasons(self) -> str:
        """One line for each that cannot be asked to act."""
        lines = [*self.silent, *self.unready, *(f"{name} is no member yet" for name in self.absent)]
        return "\n".join(lines)


def council(context: StepContext, names: Sequence[str], *, first: bool = False) -> Council:
    """Ask the other control planes; with `first`, only until one is ready.

    Raises `StepError` if two of them are members of different clusters.
    """
    own = context.connection.host
    ready: list[Member] = []
    unready, absent, silent, gone = list[str](), list[str](), list[str](), list[str]()
    for name in names:
        if name == own:
            continue
        try:
            peer = context.peer(name)
            told = read_peer(peer.ask(PEER))
        except PeerFailed as error:
            (gone if "not in the inventory" in error.summary else silent).append(
                name if "not in the inventory" in error.summary else f"{name}: {error.summary}"
            )
            continue
        if isinstance(told, str):
            silent.append(f"{name}: {told}")
        elif told.status == "absent" or told.bare:
            absent.append(name)
        elif told.status != "member":
            unready.append(f"{name} is only partly a member ({told.status})")
        elif told.ready:
            ready.append(Member(peer, told))
            if first:
                break
        else:
            unready.append(f"{name} is a member, but its API server is not ready")
    clusters = {member.survey.ca for member in ready}
    if len(clusters) > 1:
        names = [member.peer.host for member in ready]
        raise StepError(
            f"{', '.join(names)} are members of different clusters: their CA certificates differ",
            detail="Reset those that do not belong here (`kubeadm reset`), then apply again.",
        )
    return Council(tuple(ready), tuple(unready), tuple(absent), tuple(silent), tuple(gone))


def through(member: Member, action: Action, what: str) -> Outcome:
    """Have a peer do something. Raises `StepError` with what it said if that failed."""
    outcome = member.peer.exchange(action)
    if outcome.timed_out or outcome.status != 0:
        said = (outcome.stderr or outcome.stdout).decode("utf-8", "replace").strip()
        last = said.splitlines()[-1] if said else f"exit status {outcome.status}"
        raise StepError(f"{member.peer.host} could not {what}: {last[:300]}", detail=said[-4000:])
    return outcome
