"""The kind `etcdRestore`: the etcd of a cluster goes back to a snapshot, phase by phase."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action, Fragment, Outcome, Record
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, StepArgs, StepContext
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._kubeadm import restoring
from kubexms.step.kinds.download import Sha256
from kubexms.step.observation import Attributes, Observation

Phase = Literal["stop", "restore", "etcd", "serve"]
REACHED: Mapping[str, str] = {
    "stop": "stopped",
    "restore": "restored",
    "etcd": "started",
    "serve": "serving",
}
NO_MEMBER = "no member"


class EtcdRestoreSpec(StepArgs):
    """A host goes through one phase of a restore of etcd: everybody stops, restores, starts, serves.

    The four phases are four steps, each for all hosts that have a part in it, and none begins before the one
    before has ended on all of them. API server and etcd are static pods, as kubeadm makes them, or the units
    `kube-apiserver` and `etcd` in /etc/systemd/system; where etcd's data is, and its certificates, is read
    from these. Where etcd has hosts of its own, control planes stop before these do. What was reached is kept
    on the host, so that a restore that was cut off goes on. A restore happens once: a member that joined
    after it has its data from the others. The data that was there is renamed, not removed, and stays below
    etcd's directory as `before-restore-…` until the host leaves the cluster. Needs etcdctl on the hosts of
    etcd; etcdutl does the work where it is there, too.
    """

    phase: Phase
    """`stop` ends the API server and etcd; `restore` makes etcd's data from the snapshot; `etcd` starts it;
    `serve` starts the API server, and anew what holds an older view of it on the nodes."""
    snapshot: AbsolutePath
    """The snapshot on the host, the same on every member."""
    sha256: Sha256
    """Its SHA-256 digest in hexadecimal."""
    attempt: int = Field(default=1, ge=1)
    """Another number restores the same snapshot once more."""
    members: dict[str, Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")]] = Field(min_length=1)
    """The members of etcd by their names in the inventory, which are the members' too, and their addresses.
    Those that are no members yet take no part."""
    servers: tuple[str, ...] | None = None
    """The hosts with an API server, by their names in the inventory. Default: the members."""
    workers: tuple[str, ...] = ()
    """Other nodes, by their names in the inventory, whose kubelet and kube-proxy are started anew when the
    API serves again."""

    @property
    def id(self) -> str:
        """Which restore this is."""
        return f"{self.sha256[:16]}-{self.attempt}"

    @property
    def serving(self) -> tuple[str, ...]:
        """The hosts with an API server."""
        return tuple(self.members) if self.servers is None else self.servers

    @property
    def everybody(self) -> tuple[str, ...]:
        """All hosts that have a part in it."""
        return tuple(dict.fromkeys((*self.members, *self.serving)))


class EtcdRestoreExecutor(OneByOne[EtcdRestoreSpec]):
    """See `EtcdRestoreSpec`."""

    kind: ClassVar[str] = "etcdRestore"
    spec: ClassVar[type[StepArgs]] = EtcdRestoreSpec
    identity: ClassVar[tuple[str, ...]] = ("phase",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: tuple(REACHED.values()) if name in ("phase", "sha256", "attempt") else ()
        for name in EtcdRestoreSpec.model_fields
    }
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: stop
  kind: etcdRestore
  phase: stop
  snapshot: /var/backups/kubexms-etcd-restore.db
  sha256: 6e2a3cc1cbb5a0b3a9a0a5ff20b4c9d1f0a1ad8b7ef9a9c6b0a1b2c3d4e5f607
  members: {cp1: 192.0.2.11}
"""

    def ask(self, spec: EtcdRestoreSpec) -> str:
        apart = () if spec.servers is None else spec.members.values()
        return restoring.question(spec.id, spec.phase, apart)

    def observe(self, spec: EtcdRestoreSpec, record: Record) -> Observation:
        """Whether this phase of this very restore is behind the host; one without etcd has no part in it."""
        text = record.text.decode("utf-8", "replace").strip()
        if record.status != 0:
            return Observation.unknown(text or "the host does not tell of its etcd")
        word, _, data = text.partition(" ")
        value: JsonValue = NO_MEMBER if word == "none" else word == "done"
        extra: dict[str, JsonValue] = {}
        if word == "todo" and spec.phase == "restore":
            what = (
                f"what etcd has is renamed to {data}/before-restore-{spec.id}" if data else "etcd has no data"
            )
            extra["notes"] = [f"{what}, and what was written since the snapshot is lost"]
        return Observation.present({REACHED[spec.phase]: value}, extra)

    def desired(self, spec: EtcdRestoreSpec) -> Attributes | None:
        return {REACHED[spec.phase]: True}

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """A host that is no member has nothing to restore."""
        return observed == NO_MEMBER or desired == observed

    def disruption(self, spec: EtcdRestoreSpec, request: ChangeRequest) -> Disruption:
        """What was written since the snapshot is lost; nobody reaches the API meanwhile."""
        return Disruption.DATA_LOSS if spec.phase == "restore" else Disruption.RESTART

    def action(self, spec: EtcdRestoreSpec, request: ChangeRequest) -> Action:
        """For a member that is alone; `run` asks the others."""
        return self._action(spec, spec.members)

    def run(self, context: StepContext, spec: EtcdRestoreSpec, request: ChangeRequest) -> Outcome:
        """Ask the others how far they are, then do this host's part."""
        own = context.connection.host
        if own not in spec.everybody:
            raise StepError(f"neither 'members' nor 'servers' names this host, {own}")
        others = _others(context, spec, own)
        if spec.phase == "stop" and "serve" in others.values():
            # somebody has finished this restore: the host joined after it, and has its data from there
            return context.exchange(Action(restoring.reached(spec.id, "serve")))
        taking_part = [name for name in spec.everybody if name == own or name in others]
        members = {name: spec.members[name] for name in taking_part if name in spec.members}
        outcome = context.exchange(self._action(spec, members, own))
        serving = [name for name in taking_part if name in spec.serving]
        if spec.phase == "serve" and own == serving[0] and outcome.status == 0:
            if own not in members and members:
                _tell_etcd(context, spec, next(iter(members)))
            _refresh(context, spec)
        return outcome

    @staticmethod
    def _action(spec: EtcdRestoreSpec, members: Mapping[str, str], own: str = "") -> Action:
        name = own or next(iter(members))
        script = restoring.script(
            spec.phase, spec.id, snapshot=spec.snapshot, sha256=spec.sha256, name=name, members=members
        )
        return Action(script, timeout=1800.0)

    def summary(self, spec: EtcdRestoreSpec) -> str:
        return f"{spec.phase}, snapshot {spec.sha256[:12]}"

    def object_id(self, spec: EtcdRestoreSpec) -> str:
        """A host has one etcd, and each phase is an object of its own."""
        return hashlib.sha256(f"{self.kind} {spec.phase}".encode()).hexdigest()[:32]


def _others(context: StepContext, spec: EtcdRestoreSpec, own: str) -> dict[str, str]:
    """The others that have a part in it, and the phase that each has reached.

    Raises `StepError` if one does not tell, or is not as far as this phase needs it.
    """
    found: dict[str, str] = {}
    for name in spec.everybody:
        if name == own:
            continue
        try:
            answer = context.peer(name).ask(Fragment(restoring.peer_question(spec.id), timeout=30.0))
        except PeerFailed as error:
            raise StepError(
                f"{name} does not say whether it is stopped: {error.summary}",
                detail="All members of etcd are restored together. If that host is gone for good, take it "
                "out of the document first.",
            ) from None
        told = answer.records[0].text.decode("utf-8", "replace").strip() if answer.records else ""
        if not told:
            raise StepError(f"{name} does not say how far it is", detail=answer.detail or "")
        if told != "none":
            found[name] = told
    for name, phase in found.items():
        needed = _needed(spec, own, name)
        if needed is not None and restoring.PHASES.index(phase) < restoring.PHASES.index(needed):
            raise StepError(f"{name} has not got through the phase '{needed}' of this restore")
    return found


def _needed(spec: EtcdRestoreSpec, own: str, other: str) -> str | None:
    """How far another host must be before this one may go on; None: it does not matter."""
    if spec.phase == "stop":
        return "stop" if own not in spec.serving and other in spec.serving else None
    if spec.phase == "restore":
        return "stop"
    return restoring.BEFORE[spec.phase] if other in spec.members else None


def _tell_etcd(context: StepContext, spec: EtcdRestoreSpec, member: str) -> None:
    """Members that join later are asked where no API server is. Raises `StepError` if it cannot be told."""
    try:
        outcome = context.peer(member).exchange(Action(restoring.tell_etcd(spec.id), timeout=300.0))
    except PeerFailed as error:
        raise StepError(f"{member} does not take in that the restore has happened: {error.summary}") from None
    if outcome.status != 0:
        said = outcome.stderr.decode("utf-8", "replace").strip()
        raise StepError(f"{member} does not take in that the restore has happened", detail=said)


def _refresh(context: StepContext, spec: EtcdRestoreSpec) -> None:
    for name in spec.workers:
        try:
            outcome = context.peer(name).exchange(Action(restoring.REFRESH, timeout=120.0))
            failed = "" if outcome.status == 0 else outcome.stderr.decode("utf-8", "replace").strip()
        except PeerFailed as error:
            failed = error.summary
        if failed:
            context.progress(
                f"{name}: start its kubelet and kube-proxy anew when it is back ({failed[:200]})"
            )


__all__ = ["EtcdRestoreExecutor", "EtcdRestoreSpec"]
