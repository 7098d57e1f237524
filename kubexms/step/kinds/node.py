"""The kind `node`: a node of a cluster as its API knows it, with labels and taints, or no longer there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.values import NodeName
from kubexms.step.contract import ChangeRequest, Disruption, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._kubeadm.leaving import removal
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

_PREFIX = r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?"
Key = Annotated[str, Field(pattern=rf"^{_PREFIX}[A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?$")]
"""The key of a label or taint: `topology.kubernetes.io/zone`."""
Value = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
"""A label's or taint's value; it may be empty."""

NO_CLUSTER = 3


class Taint(FrozenModel):
    """One taint of a node."""

    key: Key
    """Its key."""
    value: Value = ""
    """Its value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What it does to pods that do not tolerate it."""

    def text(self) -> str:
        """As kubectl writes it."""
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class NodeSpec(StepArgs):
    """A node of a cluster as its API knows it. It runs on a control plane (`runOnce`).

    Only the labels and taints named here are managed; others, and whether somebody has cordoned the
    node, are left alone.
    """

    node: NodeName
    """The node's name."""
    labels: dict[Key, Value | None] = Field(default_factory=dict)
    """Labels that it has; `null` for one that it must not have."""
    taints: tuple[Taint, ...] = ()
    """Taints that it has."""
    state: Literal["present", "absent"] = "present"
    """`absent`: it is taken out of etcd if it was a control plane, and deleted from the API. For a machine
    that is gone for good: a node that is Ready is refused, as it leaves by its own `kubeadmNode`."""
    drain_timeout: int = Field(default=300, ge=1, le=86400)
    """Seconds for pods to be evicted from a node that goes."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.state == "absent" and (self.labels or self.taints):
            raise PydanticCustomError(
                "node_absent", "a node that is to be absent has no labels and no taints"
            )
        if len({(taint.key, taint.effect) for taint in self.taints}) < len(self.taints):
            raise PydanticCustomError("node_taints", "two taints have the same key and effect")
        return self


class NodeExecutor(StepExecutor[NodeSpec]):
    """One `kubectl get nodes` for all of them. See `NodeSpec`."""

    kind: ClassVar[str] = "node"
    spec: ClassVar[type[StepArgs]] = NodeSpec
    identity: ClassVar[tuple[str, ...]] = ("node",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"state": (), "drain_timeout": ()}
    example: ClassVar[str] = """\
- {name: w1, kind: node, node: w1, labels: {topology.kubernetes.io/zone: a}}
"""

    def probe(self, specs: Sequence[NodeSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        template = "".join(_template(index, spec) for index, spec in enumerate(specs))
        script = _ASK.replace("TEMPLATE", quote("{{range .items}}" + template + "{{end}}"))
        script += "".join(f"answer {index}\n" for index in range(len(specs)))
        fragment = Fragment(PATHS + ADMIN + script, records=len(specs), timeout=30.0)
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: NodeSpec, record: Record) -> Observation:
        """A node that the API does not know is absent, as all are before there is a cluster."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(f"the API does not answer: {text.strip() or 'no reason given'}")
        lines = [line.partition(" ")[::2] for line in text.splitlines()]
        if ("node", "") not in lines:
            return Observation.absent()
        found = dict(rest.partition("=")[::2] for word, rest in lines if word == "label")
        labels: dict[str, JsonValue] = {key: found.get(key) for key in spec.labels}
        taints = sorted(rest for word, rest in lines if word == "taint")
        extra: dict[str, JsonValue] = {"cordoned": ("cordoned", "") in lines}
        if ("ready", "") in lines:
            extra["ready"] = True
        return Observation.present({"labels": labels, "taints": list[JsonValue](taints)}, extra)

    def desired(self, spec: NodeSpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        labels: dict[str, JsonValue] = dict(spec.labels)
        return {"labels": labels, "taints": list[JsonValue](sorted(taint.text() for taint in spec.taints))}

    def disruption(self, spec: NodeSpec, request: ChangeRequest) -> Disruption:
        if spec.state == "absent":
            return Disruption.DRAIN
        evicts = any(taint.effect == "NoExecute" for taint in spec.taints) and "taints" in request.changed
        return Disruption.DRAIN if evicts else Disruption.NONE

    def verdict(self, spec: NodeSpec, observation: Observation) -> str | None:
        """A node that works is not lost."""
        if spec.state != "absent" or not observation.extra.get("ready"):
            return None
        return (
            f"the node {spec.node} is Ready, so that its machine is not lost: let it leave by its own host. "
            "If it has just lost its power, the cluster sees that within a minute"
        )

    def action(self, spec: NodeSpec, request: ChangeRequest) -> Action:
        if spec.state == "absent":
            return Action(
                PATHS + ADMIN + removal(spec.node, spec.drain_timeout), timeout=180.0 + spec.drain_timeout
            )
        return Action(
            _set(spec.node, spec.labels, [taint.text() for taint in spec.taints], ()), timeout=120.0
        )

    def undo(self, spec: NodeSpec, prior: Observation) -> Action | None:
        """Its labels and taints as they were; a node that is gone meanwhile is right."""
        if spec.state == "absent":
            return None
        was = prior.attributes if prior.presence is Presence.PRESENT else {}
        before, taints = was.get("labels"), was.get("taints")
        labels = {key: before.get(key) if isinstance(before, dict) else None for key in spec.labels}
        texts = [text for text in taints if isinstance(text, str)] if isinstance(taints, list) else []
        kept = {_bare(text) for text in texts}
        gone = [_bare(taint.text()) for taint in spec.taints if _bare(taint.text()) not in kept]
        known = {key: value if isinstance(value, str) else None for key, value in labels.items()}
        return Action(_UNLESS_GONE.replace("NODE", quote(spec.node)) + _set(spec.node, known, texts, gone))


_ASK = r"""
status=0
if [ ! -r /etc/kubernetes/admin.conf ]; then
  status=3 all='there is no cluster on this host yet'
else
  all=$(admin --request-timeout=10s get nodes -o go-template=TEMPLATE 2>&1) || status=1
fi
# answer INDEX: what the API says of one of them
answer() {
  if [ "$status" = 0 ]; then
    emit 0 "$(printf '%s\n' "$all" | sed -n "s/^$1 //p")"
  else
    emit "$status" "$(printf '%s\n' "$all" | tail -n 1)"
  fi
}
"""

_WAIT = """\
n=0
until admin --request-timeout=10s get node NODE -o name >/dev/null 2>&1; do
    n=$((n + 1))
    [ "$n" -lt 60 ] || { echo 'the API does not know this node' >&2; exit 1; }
    sleep 1
done
"""

_UNLESS_GONE = (
    PATHS
    + ADMIN
    + """\
[ -r /etc/kubernetes/admin.conf ] || exit 0
if ! said=$(admin --request-timeout=10s get node NODE -o name 2>&1); then
    case $said in *NotFound*) exit 0 ;; *) echo "$said" >&2; exit 1 ;; esac
fi
"""
)


def _template(index: int, spec: NodeSpec) -> str:
    """What is printed of one node: lines that begin with the index; only what the spec names."""
    parts = [f"{index} node\n{{{{if .spec.unschedulable}}}}{index} cordoned\n{{{{end}}}}"]
    if spec.state == "absent":
        parts.append(
            '{{range .status.conditions}}{{if and (eq .type "Ready") (eq .status "True")}}'
            f"{index} ready\n{{{{end}}}}{{{{end}}}}"
        )
    if spec.labels:
        keys = " ".join(json.dumps(key) for key in spec.labels)
        parts.append(
            f"{{{{range $k, $v := .metadata.labels}}}}{{{{if eq $k {keys}}}}}"
            f"{index} label {{{{$k}}}}={{{{$v}}}}\n{{{{end}}}}{{{{end}}}}"
        )
    if spec.taints:
        own = " ".join(json.dumps(f"{taint.key}:{taint.effect}") for taint in spec.taints)
        parts.append(
            f'{{{{range .spec.taints}}}}{{{{if eq (printf "%s:%s" .key .effect) {own}}}}}'
            f"{index} taint {{{{.key}}}}{{{{with .value}}}}={{{{.}}}}{{{{end}}}}:{{{{.effect}}}}\n"
            "{{end}}{{end}}"
        )
    return f"{{{{if eq .metadata.name {json.dumps(spec.node)}}}}}" + "".join(parts) + "{{end}}"


def _set(node: str, labels: Mapping[str, str | None], taints: Sequence[str], gone: Sequence[str]) -> str:
    lines = [PATHS + ADMIN + _WAIT.replace("NODE", quote(node))]
    words = [f"{key}-" if value is None else f"{key}={value}" for key, value in labels.items()]
    if words:
        lines.append(f"admin label node {quote(node)} --overwrite {' '.join(map(quote, words))}\n")
    if taints:
        lines.append(f"admin taint node {quote(node)} --overwrite {' '.join(map(quote, taints))}\n")
    lines += [f"admin taint node {quote(node)} {quote(text + '-')} || :\n" for text in gone]
    return "".join(lines)


def _bare(taint: str) -> str:
    """Key and effect of a taint."""
    head, _, effect = taint.rpartition(":")
    return f"{head.partition('=')[0]}:{effect}"


__all__ = ["NodeExecutor", "NodeSpec", "Taint"]
