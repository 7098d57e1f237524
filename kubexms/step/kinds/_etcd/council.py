"""What the other members say, asked by a host that joins or leaves etcd."""

from __future__ import annotations

from dataclasses import dataclass

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action
from kubexms.step.contract import PeerContext, StepContext
from kubexms.step.kinds._etcd.survey import Place, peer_question, read_answer


@dataclass(frozen=True)
class Council:
    """The other members, in the order of the specification."""

    ready: tuple[PeerContext, ...] = ()
    """Those that are healthy: they see a leader, and more than half of all."""
    unready: tuple[str, ...] = ()
    """Those that have a part in etcd and are not healthy, each with the reason."""
    absent: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    """Those that did not answer, each with the reason. They may well be members."""

    def reasons(self) -> str:
        """One line for each that cannot be asked to act."""
        return "\n".join([*self.silent, *self.unready, *(f"{name} is no member yet" for name in self.absent)])


def council(context: StepContext, place: Place) -> Council:
    """Ask every other host that is to be a member. One that is not in the inventory any more has no say."""
    ready = list[PeerContext]()
    unready, absent, silent = list[str](), list[str](), list[str]()
    for name in place.members:
        if name == place.name:
            continue
        try:
            peer = context.peer(name)
            told = read_answer(peer.ask(peer_question(place, name)))
        except PeerFailed as error:
            if "not in the inventory" not in error.summary:
                silent.append(f"{name}: {error.summary.removeprefix(f'{name}: ')}")
            continue
        if isinstance(told, str):
            silent.append(f"{name}: {told}")
            continue
        status = told.status(place.cluster, adopts=place.adopts)
        if status == "absent":
            absent.append(name)
        elif status in ("member", "unrecorded") and told.healthy:
            ready.append(peer)
        elif status == "member":
            unready.append(f"{name} is a member of etcd, and not healthy")
        else:
            unready.append(f"{name} is only partly a member of etcd ({status})")
    return Council(tuple(ready), tuple(unready), tuple(absent), tuple(silent))


def through(peer: PeerContext, script: str, what: str) -> str:
    """Have another member do something; what it printed. Raises `StepError` with what it said."""
    outcome = peer.exchange(Action(script, timeout=300.0))
    if outcome.timed_out or outcome.status != 0:
        said = (outcome.stderr or outcome.stdout).decode("utf-8", "replace").strip()
        last = said.splitlines()[-1] if said else f"exit status {outcome.status}"
        raise StepError(f"{peer.host} could not {what}: {last[:300]}", detail=said[-4000:])
    return outcome.stdout.decode("utf-8", "replace")
