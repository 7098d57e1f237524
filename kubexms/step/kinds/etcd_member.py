"""The kind `etcdMember`: a host that is a member of an etcd of its own, outside of Kubernetes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Outcome, Record
from kubexms.spec.cluster.values import NodeName
from kubexms.step.contract import (
    ActionKind,
    ChangeRequest,
    Disruption,
    OneByOne,
    Prospect,
    StepArgs,
    StepContext,
)
from kubexms.step.kinds._etcd import scripts
from kubexms.step.kinds._etcd.membership import LIMIT, enter, leave
from kubexms.step.kinds._etcd.quorum import Standing, refusals
from kubexms.step.kinds._etcd.survey import Place, Status, Survey, question, question_about, read
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._pki.names import BasePath
from kubexms.step.observation import Attributes, Observation, Presence

_SWITCHES = frozenset({"running", "enabled"})


class EtcdMemberSpec(StepArgs):
    """A host that is a member of a cluster's etcd, by a unit of its own.

    Steps before this one write the unit and its certificates. The unit must name the member (`--name`), its
    data and its URLs, but not the other members: this step says who they are when the data is made. The first
    of `members` begins the etcd, and only if every other one answers and is none; everybody else is told
    to the others as a learner, gets the data, and then a vote, one host after the other. A member whose data
    is gone, or which the others have taken out, joins anew; the only one never begins empty again.

    With `state: absent` it is about a member whose machine is gone for good, seen from another one
    (`runOnce`): it is taken out of etcd. One that works is refused, as it leaves by its own step.

    Taken away, a member leaves through another one, then its unit is stopped and its data removed. A plan
    that would leave etcd without a quorum is an error. Needs etcd 3.4 or newer, and etcdctl.
    """

    cluster: str = Field(min_length=1, max_length=253, pattern=r"^\S+$")
    """Whose etcd it is. A host that says that it is another one's is refused."""
    member_name: NodeName
    """The member's name, one of `members` unless it is to be absent."""
    state: Literal["present", "absent"] = "present"
    """`absent`: etcd has no member of this name. It is asked of the host that the step is on."""
    members: dict[str, Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")]] = Field(min_length=1)
    """All members that are to be there, by their names in the inventory, and their addresses. The first one
    begins the etcd."""
    unit: str = Field(default="etcd", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$")
    """The unit that runs it."""
    data_dir: AbsolutePath = "/var/lib/etcd"
    """Where its data is, as the unit has it."""
    authority: BasePath
    """The `path` of the authority that etcd trusts."""
    certificate: BasePath
    """The `path` of the member's certificate, which must be one for clients, too."""
    adopts: bool = False
    """Data of which the host keeps no record is taken over as it is, if etcd says that it is the data of a
    member of this name and address. Without it, such data is another etcd's, and refused."""

    @model_validator(mode="after")
    def _listed(self) -> Self:
        if self.state == "absent" and self.member_name in self.members:
            raise PydanticCustomError(
                "etcd_lost", "'{name}' is one of 'members', and cannot be absent", {"name": self.member_name}
            )
        if self.state == "present" and self.member_name not in self.members:
            raise PydanticCustomError(
                "etcd_member", "'members' does not name '{name}'", {"name": self.member_name}
            )
        return self


class EtcdMemberExecutor(OneByOne[EtcdMemberSpec]):
    """See `EtcdMemberSpec`."""

    kind: ClassVar[str] = "etcdMember"
    spec: ClassVar[type[StepArgs]] = EtcdMemberSpec
    identity: ClassVar[tuple[str, ...]] = ("unit",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: ("name",) if name == "member_name" else () for name in EtcdMemberSpec.model_fields
    }
    example: ClassVar[str] = """\
- name: member
  kind: etcdMember
  cluster: prod
  memberName: etcd1
  members: {etcd1: 192.0.2.41, etcd2: 192.0.2.42, etcd3: 192.0.2.43}
  authority: /etc/etcd/ca
  certificate: /etc/etcd/member
"""

    def ask(self, spec: EtcdMemberSpec) -> str:
        return question(_place(spec)) if spec.state == "present" else question_about(_place(spec))

    def observe(self, spec: EtcdMemberSpec, record: Record) -> Observation:
        """Absent where there is neither data nor a record of a member; etcd itself says who is one."""
        text = record.text.decode("utf-8", "replace")
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not tell of its etcd")
        found = read(text)
        status = found.status(spec.cluster, adopts=spec.adopts)
        if spec.adopts and status == "foreign" and not (found.cluster or found.listed) and found.enabled:
            return Observation.unknown(f"{spec.unit} does not answer, which alone says whose data it has")
        if spec.state == "absent":
            return _seen(found, status)
        if status == "absent":
            return Observation.absent()
        attributes: dict[str, JsonValue] = {
            "status": status,
            "name": found.name or spec.member_name,
            "running": found.running,
            "enabled": found.enabled,
        }
        extra: dict[str, JsonValue] = {"listed": found.listed, "peer": found.peer, "cluster": found.cluster}
        if status == "partial":
            extra["notes"] = [f"becoming a member of etcd was cut off on this host ({found.unfinished})"]
        elif status == "lost":
            extra["notes"] = [f"this host was a member of etcd, and there is no data in {spec.data_dir}"]
        elif status == "unrecorded":
            extra["notes"] = ["this host is a member of etcd already, which is taken over as it runs"]
        return Observation.present(attributes, extra)

    def desired(self, spec: EtcdMemberSpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        return {"status": "member", "name": spec.member_name, "running": True, "enabled": True}

    def verdict(self, spec: EtcdMemberSpec, observation: Observation) -> str | None:
        """Data of another etcd, and another name or address, are refused before anything is touched."""
        status, extra = observation.attributes.get("status"), observation.extra
        if spec.state == "absent":
            if not extra.get("works"):
                return None
            return (
                f"the member {spec.member_name} of etcd works, so that its machine is not lost: let it leave "
                "by its own host"
            )
        if status == "foreign":
            whose = f"of cluster {extra['cluster']}" if extra.get("cluster") else "that is not this cluster's"
            return (
                f"{spec.data_dir} holds the data of an etcd {whose}: move it away, or take this host out of "
                f"cluster {spec.cluster}"
            )
        if status not in ("member", "learner", "unrecorded"):
            return None
        if observation.attributes.get("name") != spec.member_name:
            was, name = observation.attributes.get("name"), spec.member_name
            return f"this host is the member {was} of etcd, and cannot become {name}: put the name back"
        peer = extra.get("peer")
        if isinstance(peer, str) and peer and _place(spec).url not in peer.split(","):
            return (
                f"the other members reach this one by {peer}, which cannot change: put its address back, or "
                "take the host out and add it again afterwards"
            )
        return None

    def review(self, steps: Sequence[Prospect[EtcdMemberSpec]]) -> Mapping[str, str]:
        """Refuses what would leave etcd without its data or its quorum; see `quorum.refusals`."""
        found: dict[str, str] = {}
        steps = [step for step in steps if step.spec.state == "present"]
        for cluster in dict.fromkeys(step.spec.cluster for step in steps):
            standing = [
                Standing(
                    step.address,
                    step.host,
                    works=step.before.attributes.get("status") in ("member", "unrecorded")
                    and step.before.attributes.get("running") is True,
                    leaves=step.action is ActionKind.DELETE,
                    joins=step.action is ActionKind.CREATE,
                    members=list(step.spec.members),
                )
                for step in steps
                if step.spec.cluster == cluster
            ]
            found |= refusals(cluster, standing)
        return found

    def disruption(self, spec: EtcdMemberSpec, request: ChangeRequest) -> Disruption:
        """With the only member all data is gone."""
        if request.action is not ActionKind.DELETE or spec.state == "absent":
            return Disruption.NONE
        return Disruption.DATA_LOSS if len(spec.members) == 1 else Disruption.RESTART

    def action(self, spec: EtcdMemberSpec, request: ChangeRequest) -> Action:
        """For one that only has to be started, and for the first member; `run` decides about the rest."""
        if spec.state == "absent":
            return Action(scripts.remove(_place(spec)), timeout=LIMIT)
        if _starts(request):
            return Action(scripts.start(_place(spec)), timeout=LIMIT)
        return Action(scripts.begin(_place(spec)), timeout=LIMIT)

    def run(self, context: StepContext, spec: EtcdMemberSpec, request: ChangeRequest) -> Outcome:
        """Ask the others, then begin the etcd or join it; one host of it at a time."""
        if spec.state == "absent" or _starts(request):
            return context.exchange(self.action(spec, request))
        with self._alone(context, spec):
            return enter(context, _place(spec))

    def undo(self, spec: EtcdMemberSpec, prior: Observation) -> Action | None:
        """Stops and clears it; one that was a member before is left as it is, and nobody lost comes back."""
        if spec.state == "absent":
            return None
        if prior.presence is Presence.PRESENT and prior.attributes.get("status") == "member":
            return None
        return Action(scripts.reset(_place(spec)), timeout=LIMIT)

    def run_undo(self, context: StepContext, spec: EtcdMemberSpec, prior: Observation) -> Outcome:
        """Leave through another member, then clear the host."""
        with self._alone(context, spec):
            return leave(context, _place(spec))

    def summary(self, spec: EtcdMemberSpec) -> str:
        return f"{spec.member_name} of {spec.cluster}"

    def object_id(self, spec: EtcdMemberSpec) -> str:
        """A unit is a member of one etcd at most; another's that is lost is an object of its own."""
        lost = f" without {spec.member_name}" if spec.state == "absent" else ""
        return hashlib.sha256(f"{self.kind} {spec.unit}{lost}".encode()).hexdigest()[:32]

    def owns(self, spec: EtcdMemberSpec) -> bool:
        """That there is none of a name is nobody's."""
        return spec.state == "present"

    def _alone(self, context: StepContext, spec: EtcdMemberSpec) -> AbstractContextManager[None]:
        return context.alone(f"{self.kind} {spec.cluster}")


def _seen(found: Survey, status: Status) -> Observation:
    """Whether etcd has a member of the name, as a host tells that may have no member itself."""
    if not found.data or found.listed == "no":
        return Observation.absent()
    if status == "foreign" or not found.listed:
        return Observation.unknown("no member of etcd says who the others are")
    return Observation.present({"listed": found.listed}, {"works": found.works})


def _starts(request: ChangeRequest) -> bool:
    return request.action is ActionKind.UPDATE and request.changed <= _SWITCHES


def _place(spec: EtcdMemberSpec) -> Place:
    return Place(
        cluster=spec.cluster,
        name=spec.member_name,
        members=spec.members,
        unit=spec.unit,
        data=spec.data_dir,
        authority=spec.authority,
        certificate=spec.certificate,
        adopts=spec.adopts,
    )


__all__ = ["EtcdMemberExecutor", "EtcdMemberSpec"]
