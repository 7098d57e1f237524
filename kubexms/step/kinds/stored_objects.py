"""The kind `storedObjects`: what a cluster stores is stored as its API servers write it now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Record
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._encryption.scripts import RECORD, RECORDED
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.observation import Attributes, Observation
from kubexms.step.shell import quote, words

NO_CLUSTER = 3


class StoredObjectsSpec(StepArgs):
    """All objects of these resources have been written since API servers write with this key.

    They are read and put back as they are, by a control plane (`runOnce`), when all API servers encrypt with
    the key; which one it was is kept in the ConfigMap kubexms-stored of kube-system. An object that changes
    or goes meanwhile is left to whoever does that.
    """

    resources: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(\.[a-z0-9.-]+)?$")], ...] = Field(
        min_length=1
    )
    """As the API names them: `secrets`, `widgets.example.com`."""
    written_with: str = Field(min_length=1)
    """`PROVIDER:KEY`, or `identity` for what is not encrypted."""


class StoredObjectsExecutor(OneByOne[StoredObjectsSpec]):
    """See `StoredObjectsSpec`."""

    kind: ClassVar[str] = "storedObjects"
    spec: ClassVar[type[StepArgs]] = StoredObjectsSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "resources": ("writtenWith",),
        "written_with": ("writtenWith",),
    }
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- {name: anew, kind: storedObjects, runOnce: true, resources: [secrets], writtenWith: "secretbox:y2027"}
"""

    def ask(self, spec: StoredObjectsSpec) -> str:
        return PATHS + ADMIN + f"[ -r /etc/kubernetes/admin.conf ] || exit {NO_CLUSTER}\n{RECORDED}recorded\n"

    def observe(self, spec: StoredObjectsSpec, record: Record) -> Observation:
        """Absent before there is a cluster."""
        text = record.text.decode("utf-8", "replace").strip()
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text or "the API server does not tell what is stored")
        told = [line.partition(" ") for line in text.splitlines()]
        known = {name: value for name, _, value in told}
        found: dict[str, JsonValue] = {name: known.get(name) for name in spec.resources}
        return Observation.present({"writtenWith": found})

    def desired(self, spec: StoredObjectsSpec) -> Attributes | None:
        return {"writtenWith": dict.fromkeys(spec.resources, spec.written_with)}

    def action(self, spec: StoredObjectsSpec, request: ChangeRequest) -> Action:
        patch = json.dumps({"data": dict.fromkeys(spec.resources, spec.written_with)})
        head = f"{PATHS}{ADMIN}patch={quote(patch)}\nname={RECORD}\n"
        return Action(f"{head}set -- {words(spec.resources)}\n{_ANEW}", timeout=1800.0)

    def summary(self, spec: StoredObjectsSpec) -> str:
        return ", ".join(spec.resources)

    def object_id(self, spec: StoredObjectsSpec) -> str:
        """A cluster has one record of them."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


_ANEW = r"""
# who changes an object meanwhile has written it, and one that has gone needs nothing
fine() {
  grep -v -e 'the object has been modified' -e '(NotFound)' -e 'no objects passed to replace' \
    -e '^Warning: ' -e '^ *$' || :
}
for r; do
  said=$({ admin get "$r" --all-namespaces -o json | admin replace -f - >/dev/null; } 2>&1 | fine)
  [ -z "$said" ] || { printf '%s\n' "$said" >&2; exit 1; }
done
admin -n kube-system get configmap "$name" >/dev/null 2>&1 ||
  admin -n kube-system create configmap "$name" >/dev/null
admin -n kube-system patch configmap "$name" --type merge -p "$patch" >/dev/null
"""


__all__ = ["StoredObjectsExecutor", "StoredObjectsSpec"]
