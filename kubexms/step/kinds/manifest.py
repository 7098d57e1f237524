"""The kind `manifest`: objects of a cluster as a manifest says, compared by the API server itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.spec.asset import ASSET, Asset
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.kinds._yaml import load_all
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

NO_CLUSTER, TOO_EARLY = 3, 4


class ManifestSpec(StepArgs):
    """Objects of a cluster, applied on the server's side. It runs on a control plane (`runOnce`).

    What differs is found by the API server itself (a dry run of the same request), so that defaults and
    what controllers add are no differences. Objects that leave the manifest stay in the cluster; when the
    step goes, the objects that were last applied go.
    """

    manifest: str | None = None
    """The objects as YAML, written here."""
    source: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """A file on the controller instead, relative to this document."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.manifest is None) == (self.source is None):
            raise PydanticCustomError("manifest_origin", "give either 'manifest' or 'source'")
        there = isinstance(self.source, Asset) and Path(self.source.path).is_file()
        if (self.manifest is not None or there) and not list(_objects(_text(self))):
            raise PydanticCustomError("manifest_empty", "the manifest holds no object")
        return self


class ManifestExecutor(OneByOne[ManifestSpec]):
    """See `ManifestSpec`."""

    kind: ClassVar[str] = "manifest"
    spec: ClassVar[type[StepArgs]] = ManifestSpec
    identity: ClassVar[tuple[str, ...]] = ("manifest", "source")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "manifest": ("objects", "content"),  # a text that was made of secrets shows no lines either
        "source": ("objects",),
    }
    example: ClassVar[str] = """\
- name: quota
  kind: manifest
  runOnce: true
  manifest: |
    apiVersion: v1
    kind: ResourceQuota
    metadata: {name: pods, namespace: default}
    spec: {hard: {pods: "50"}}
"""

    def ask(self, spec: ManifestSpec) -> str:
        return PATHS + ADMIN + f"text={quote(_sent(spec))}\n" + _ASK

    def observe(self, spec: ManifestSpec, record: Record) -> Observation:
        """Absent where none of the objects is there, also because their namespace or kind is not yet."""
        text = record.text.decode("utf-8", "replace")
        if record.status in (NO_CLUSTER, TOO_EARLY):
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(f"the API does not say: {text.strip() or 'no reason given'}")
        found = _read(text)
        objects: dict[str, JsonValue] = {}
        before, after = [], []
        for shown, names in _objects(_text(spec)):
            lines = next((found[name] for name in names if name in found), [])
            if "new" in lines:
                objects[shown] = "missing"
            else:
                objects[shown] = "differs" if lines else "as specified"
            if lines:
                before += [f"# {shown}", *(line[1:] for line in lines if line.startswith("-"))]
                after += [f"# {shown}", *(line[1:] for line in lines if line.startswith("+"))]
        if objects and all(state == "missing" for state in objects.values()):
            return Observation.absent()
        extra: dict[str, JsonValue] = {}
        if before:
            extra = {"content": "\n".join(before) + "\n", "wanted": "\n".join(after) + "\n"}
        return Observation.present({"objects": objects}, extra)

    def desired(self, spec: ManifestSpec) -> Attributes | None:
        return {"objects": {shown: "as specified" for shown, _ in _objects(_text(spec))}}

    def action(self, spec: ManifestSpec, request: ChangeRequest) -> Action:
        text = _text(spec)
        if isinstance(spec.source, Asset) and hashlib.sha256(text.encode()).hexdigest() != spec.source.sha256:
            raise StepError(f"{spec.source.path} has changed since the plan", detail="Plan again.")
        return Action(PATHS + ADMIN + _APPLY, {"manifest": Payload(data=_sent(spec).encode())}, timeout=300.0)

    def undo(self, spec: ManifestSpec, prior: Observation) -> Action | None:
        """Only where nothing of it was there before: nobody keeps what else was."""
        if prior.presence is Presence.PRESENT:
            return None
        return Action(PATHS + ADMIN + _DELETE, timeout=300.0)

    def summary(self, spec: ManifestSpec) -> str:
        """The first object, and how many there are besides."""
        names = [shown for shown, _ in _objects(_text(spec))]
        return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""

    def object_id(self, spec: ManifestSpec) -> str:
        """Which objects, whatever they are to be; for a file of the controller, which file."""
        names = sorted(shown for shown, _ in _objects(spec.manifest or ""))
        if spec.source is not None:
            names = [spec.source.path if isinstance(spec.source, Asset) else spec.source]
        return hashlib.sha256(json.dumps([self.kind, names]).encode()).hexdigest()[:32]


def _text(spec: ManifestSpec) -> str:
    if spec.manifest is not None:
        return spec.manifest
    if not isinstance(spec.source, Asset):
        return ""
    path = Path(spec.source.path)
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""


def _sent(spec: ManifestSpec) -> str:
    """The text as it is sent: with the protocol of ports, where it leaves that out.

    API servers before 1.22 refuse a server-side apply of ports whose protocol is not written, although
    it has a default.
    """
    text = _text(spec)
    found = load_all(text)
    added = [_protocols(one, service=False) for one in found]
    return yaml.safe_dump_all(found, sort_keys=False) if any(added) else text


def _protocols(value: Any, *, service: bool) -> bool:
    added = False
    if isinstance(value, list):
        for item in value:
            added |= _protocols(item, service=service)
    elif isinstance(value, dict):
        service = service or value.get("kind") == "Service"
        ports = value.get("ports")
        for port in ports if isinstance(ports, list) else ():
            if isinstance(port, dict) and "protocol" not in port and (service or "containerPort" in port):
                port["protocol"] = "TCP"
                added = True
        for item in value.values():
            added |= _protocols(item, service=service)
    return added


def _objects(text: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Each object as a person names it, and the names that `kubectl diff` may give it."""
    try:
        found = [document for document in load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise PydanticCustomError("manifest_yaml", "not YAML: {error}", {"error": str(error)}) from None
    while found:
        one: Any = found.pop(0)
        if (
            isinstance(one, dict)
            and isinstance(one.get("items"), list)
            and str(one.get("kind")).endswith("List")
        ):
            found[:0] = one["items"]
            continue
        meta = one.get("metadata") if isinstance(one, dict) else None
        if not isinstance(meta, dict) or not all(
            isinstance(x, str) for x in (one.get("kind"), meta.get("name"))
        ):
            raise PydanticCustomError(
                "manifest_object", "each object needs 'apiVersion', 'kind' and 'metadata.name'"
            )
        kind, name, space = one["kind"], meta["name"], meta.get("namespace")
        version = str(one.get("apiVersion", "")).replace("/", ".")
        spaces = (space,) if space else ("", "default")
        yield (
            f"{kind} {f'{space}/' if space else ''}{name}",
            tuple(f"{version}.{kind}.{s}.{name}" for s in spaces),
        )


def _read(text: str) -> dict[str, list[str]]:
    """What differs of each object: `new`, and lines that begin with `-` or `+`."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("= "):
            lines = found.setdefault(line[2:], [])
        elif line == "new" or line.startswith(("-", "+")):
            lines.append(line)
    return found


SIFT = r"""
# what differs, without what the API server and controllers keep for themselves, and without secrets;
# the whole of it is read, as a lone line does not tell what it is a part of
function kept(side, line) {
  if (line ~ /^[^ -]/) { part[side] = line; sub(/:.*/, "", part[side]); fields[side] = 0 }
  if (part[side] == "status") return 1
  if (part[side] != "metadata") return 0
  if (line ~ /^  [^ -]/) fields[side] = line ~ /^  managedFields:/
  return fields[side] || line ~ /^  (generation|resourceVersion|uid|creationTimestamp|selfLink): /
}
# an object of which nothing counts is not even named: whether it comes up here changes by itself as well
function tell(line) {
  if (object != told) print "= " object
  told = object
  print line
}
/^diff / {
  n = split($NF, p, "/")
  object = p[n]
  secret = object ~ /^v1\.Secret\./
  skip = 2
  part["-"] = part["+"] = ""
  next
}
skip > 0 { skip--; next }
/^@@ / { if ($2 ~ /^-0,0/) tell("new"); next }
/^ / { kept("-", substr($0, 2)); kept("+", substr($0, 2)); next }
/^[-+]/ {
  side = substr($0, 1, 1)
  if (!kept(side, substr($0, 2))) tell(secret ? side "(sensitive value)" : $0)
}
"""
"""awk: what differs, from `diff -N -U1000000` of directories with a file for each object."""

_ASK = r"""
[ -r /etc/kubernetes/admin.conf ] || exit 3
KUBECTL_EXTERNAL_DIFF='diff -N -U1000000'
TMPDIR=$(mktemp -d /run/kubexms.XXXXXXXX) || exit 5
export KUBECTL_EXTERNAL_DIFF TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
printf %s "$text" | admin --request-timeout=20s diff --server-side --force-conflicts --field-manager kubexms \
  -f - >"$TMPDIR/diff" 2>"$TMPDIR/said"
status=$?
if [ "$status" -gt 1 ]; then
  case $(cat "$TMPDIR/said") in *'namespaces "'*'not found'* | *'no matches for kind'*) exit 4 ;; esac
  tail -n 1 "$TMPDIR/said"
  exit 1
fi
awk 'SIFT' "$TMPDIR/diff"
exit 0
""".replace("SIFT", SIFT)

_APPLY = r"""
payload manifest >"$KX_BACKUP/manifest.new"
n=0
# objects of a kind or in a namespace that the manifest itself brings are accepted a moment later
until said=$(admin --request-timeout=60s apply --server-side --force-conflicts --field-manager kubexms \
    -f "$KX_BACKUP/manifest.new" 2>&1); do
  n=$((n + 1))
  case $said in
  *'no matches for kind'* | *'not found'*) [ "$n" -lt 10 ] || { echo "$said" >&2; exit 1; } ;;
  *) echo "$said" >&2; exit 1 ;;
  esac
  sleep 2
done
printf '%s\n' "$said"
mv -f "$KX_BACKUP/manifest.new" "$KX_BACKUP/manifest"
"""

_DELETE = r"""
[ -e "$KX_BACKUP/manifest" ] && [ -r /etc/kubernetes/admin.conf ] || exit 0
admin --request-timeout=60s delete --ignore-not-found --timeout=240s -f "$KX_BACKUP/manifest"
"""


__all__ = ["ManifestExecutor", "ManifestSpec"]
