"""The kind `encryptionKeys`: no API server of a cluster meets what it cannot read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Record
from kubexms.step.contract import ActionKind, ChangeRequest, OneByOne, Prospect, StepArgs
from kubexms.step.kinds._encryption.reading import PLAIN, Reading, read
from kubexms.step.kinds._encryption.refusing import Server, Wanted, refusals
from kubexms.step.kinds._encryption.scripts import LOOK, RECORDED, sums
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._kubeadm.scripts import PID
from kubexms.step.kinds._kubeadm.staticpods import SINCE
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


class EncryptionKeysSpec(StepArgs):
    """Every API server of a cluster can read what the others store, also while they are restarted in turn.

    It only looks, at what the API servers that run have read when they started; a plan is an error where one
    of them could not read what another is about to encrypt with a key that is new, and where nobody could
    read any more what is encrypted: its key is gone, or is another one of the same name, or the resource is
    not listed any more. A key that only decrypts may go when everything has been written anew, as
    `storedObjects` does and records. What a control plane has differently from all others is no error.
    """

    cluster: str
    """Whose control planes belong together."""
    planes: tuple[str, ...]
    """All of them, as hosts of the inventory."""
    path: AbsolutePath
    """The file of `--encryption-provider-config` on each."""
    resources: tuple[str, ...] = ()
    """What is to be encrypted; none where nothing is configured."""
    providers: tuple[str, ...] = Field(default=(PLAIN,), min_length=1)
    """`identity` or `PROVIDER:KEY`, in order: the first one is written with, all of them read."""
    values: Mapping[str, str] = Field(default_factory=dict)
    """Keys by `PROVIDER:KEY`, base64, to tell from one of the same name. They do not leave the controller:
    their digests do."""


class EncryptionKeysExecutor(OneByOne[EncryptionKeysSpec]):
    """See `EncryptionKeysSpec`."""

    kind: ClassVar[str] = "encryptionKeys"
    spec: ClassVar[type[StepArgs]] = EncryptionKeysSpec
    identity: ClassVar[tuple[str, ...]] = ("path",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = dict.fromkeys(
        ("cluster", "planes", "path", "resources", "providers", "values"), ()
    )
    imperative: ClassVar[bool] = True
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: readable
  kind: encryptionKeys
  cluster: prod
  planes: [cp1, cp2, cp3]
  path: /etc/kubernetes/encryption.yaml
  resources: [secrets]
  providers: ["secretbox:y2027", "secretbox:y2026", identity]
"""

    def ask(self, spec: EncryptionKeysSpec) -> str:
        given = f"f={quote(spec.path)}\nsums={quote(sums(spec.values))}\n"
        given += f"known={quote(' '.join(spec.providers))}\nlisted={quote(' '.join(spec.resources))}\n"
        return PATHS + ADMIN + PID + SINCE + RECORDED + given + LOOK

    def observe(self, spec: EncryptionKeysSpec, record: Record) -> Observation:
        text = record.text.decode("utf-8", "replace")
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not tell what its API server can read")
        now = read(text)
        entries: list[JsonValue] = [
            {"resources": [*names], "providers": [*providers]} for names, providers in now.entries
        ]
        extra: dict[str, JsonValue] = {
            "serves": now.serves, "known": now.known, "entries": entries, "other": [*now.other],
            "recorded": {**now.recorded},
        }  # fmt: skip
        return Observation.present({"looked": text.endswith("looked")}, extra)

    def desired(self, spec: EncryptionKeysSpec) -> Attributes | None:
        return {"looked": True}

    def review(self, steps: Sequence[Prospect[EncryptionKeysSpec]]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        staying = [step for step in steps if step.action not in (ActionKind.DELETE, ActionKind.FORGET)]
        for cluster in dict.fromkeys(step.spec.cluster for step in staying):
            own = [step for step in staying if step.spec.cluster == cluster]
            told = [step for step in own if step.before.presence is Presence.PRESENT]
            spec = own[0].spec
            silent = [name for name in spec.planes if name not in {step.host for step in told}]
            servers = [Server(step.address, step.host, _reading(step.before)) for step in told]
            found |= refusals(Wanted(spec.resources, spec.providers, silent), servers)
        return found

    def action(self, spec: EncryptionKeysSpec, request: ChangeRequest) -> Action:
        """What was not seen at the plan has not been reviewed."""
        return Action("echo 'it is not known what the API server of this host can read' >&2\nexit 1\n")

    def owns(self, spec: EncryptionKeysSpec) -> bool:
        """It only looks."""
        return False

    def summary(self, spec: EncryptionKeysSpec) -> str:
        return "what is encrypted can be read"

    def object_id(self, spec: EncryptionKeysSpec) -> str:
        return hashlib.sha256(f"{self.kind} {spec.path}".encode()).hexdigest()[:32]


def _reading(observation: Observation) -> Reading:
    """What `observe` has kept."""
    extra = observation.extra
    entries, other, recorded = extra.get("entries"), extra.get("other"), extra.get("recorded")
    pairs = [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return Reading(
        serves=extra.get("serves") is True,
        known=extra.get("known") is not False,
        entries=[(_texts(one.get("resources")), _texts(one.get("providers"))) for one in pairs],
        other=_texts(other),
        recorded={name: str(value) for name, value in recorded.items()} if isinstance(recorded, dict) else {},
    )


def _texts(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


__all__ = ["EncryptionKeysExecutor", "EncryptionKeysSpec"]
