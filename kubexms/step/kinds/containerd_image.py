"""`containerdImage`: a container image in containerd, by digest, from an archive or from its registry."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.spec.asset import ASSET, Asset
from kubexms.step.contract import ChangeRequest, Part, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, pinned
from kubexms.step.kinds.download import Sha256
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

LISTED, UNLISTED, NO_CLIENT, NO_ANSWER = 0, 1, 2, 3
"""Statuses of a record."""

SHARED_LIMIT = 1 << 26
"""Bytes up to which an archive is imported together with others: all of them lie on the host meanwhile."""

_DIGEST = r"^sha256:[0-9a-f]{64}$"


class ContainerdImageSpec(StepArgs):
    """A container image that containerd has, with this digest and all of its content.

    It is imported from an OCI archive of the controller, which needs no registry, or pulled by its
    digest. The host's `ctr` does both.
    """

    ref: Annotated[str, Field(pattern=r"^[^\s/@\x00]+(/[^\s/@\x00]+)+:[^\s/@:\x00]+$")]
    """Full name with registry and tag, as containerd stores it: `registry.k8s.io/pause:3.9`."""
    digest: Annotated[str, Field(pattern=_DIGEST)]
    """Digest of the image's manifest or index, which `ctr images ls` shows."""
    archive: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """An OCI archive on the controller that holds it, relative to this document. Without it, the image is
    pulled."""
    sha256: Sha256 | None = None
    """The SHA-256 digest that the archive must have."""
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")] = "k8s.io"
    """containerd's namespace; the kubelet's is `k8s.io`."""
    address: AbsolutePath = "/run/containerd/containerd.sock"
    """containerd's socket."""

    @model_validator(mode="after")
    def _pinned_archive(self) -> Self:
        if self.sha256 is not None and self.archive is None:
            raise PydanticCustomError("image_sha256", "'sha256' is that of an 'archive'")
        pinned(self.archive, self.sha256)
        return self

    @property
    def client(self) -> str:
        """The `ctr` of this containerd and namespace, as shell words."""
        return f"ctr --address {quote(self.address)} --namespace {quote(self.namespace)}"

    @property
    def by_digest(self) -> str:
        """The name under which it is pulled."""
        return f"{self.ref.rpartition(':')[0]}@{self.digest}"


class ContainerdImageExecutor(StepExecutor[ContainerdImageSpec]):
    """One `ctr images check` for all images of a namespace, whatever their number."""

    kind: ClassVar[str] = "containerdImage"
    spec: ClassVar[type[StepArgs]] = ContainerdImageSpec
    identity: ClassVar[tuple[str, ...]] = ("namespace", "ref")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"archive": (), "sha256": (), "address": ()}
    example: ClassVar[str] = """\
- name: pause
  kind: containerdImage
  ref: registry.k8s.io/pause:3.9
  digest: sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097
"""

    def probe(self, specs: Sequence[ContainerdImageSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        lines = [_LOOK]
        seen = ""
        order = sorted(range(len(specs)), key=lambda index: (specs[index].address, specs[index].namespace))
        for index in order:
            spec = specs[index]
            if spec.client != seen:
                seen = spec.client
                lines.append(f"check {words([spec.address, spec.namespace])}\n")
            lines.append(f"row {quote(spec.ref)}\n")
        return (Probe(Fragment("".join(lines), records=len(specs), timeout=60.0), tuple(order)),)

    def observe(self, spec: ContainerdImageSpec, record: Record) -> Observation:
        if record.status in (UNLISTED, NO_CLIENT):
            return Observation.absent()
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_ANSWER:
            return Observation.unknown(f"containerd does not answer: {text or 'it says nothing'}")
        digest, _, status = text.partition(" ")
        if record.status != LISTED or not re.match(_DIGEST, digest):
            return Observation.unknown("the host's answer about this image makes no sense")
        return Observation.present({"digest": digest, "complete": status.startswith("complete")})

    def desired(self, spec: ContainerdImageSpec) -> Attributes | None:
        return {"digest": spec.digest, "complete": True}

    def action(self, spec: ContainerdImageSpec, request: ChangeRequest) -> Action:
        head = f"{_FUNCTIONS}{_CLIENT_NEEDED}{self._names(spec)}digest={spec.digest}\n"
        if isinstance(spec.archive, Asset):
            payload = Payload(path=Path(spec.archive.path), size=spec.archive.size)
            return Action(f"{head}{_IMPORT}{_CONFIRM}", {"archive": payload}, timeout=3600.0)
        return Action(f"{head}by_digest={quote(spec.by_digest)}\n{_PULL}{_CONFIRM}", timeout=3600.0)

    def shares(self, spec: ContainerdImageSpec) -> str | None:
        """Archives for one containerd and namespace: starting `ctr` takes longer than a small image does."""
        archived = isinstance(spec.archive, Asset) and spec.archive.size <= SHARED_LIMIT
        return spec.client if archived else None

    def merge(self, parts: Sequence[Part[ContainerdImageSpec]]) -> Action:
        """One after the other, up to an archive that holds something else."""
        script = [_FUNCTIONS, _CLIENT_NEEDED]
        payloads: dict[str, Payload] = {}
        for number, part in enumerate(parts):
            name = f"archive{number}"
            script += [self._names(part.spec), f"digest={part.spec.digest}\n"]
            script += [_IMPORT.replace("payload archive", f"payload {name}"), _CONFIRM]
            payloads[name] = part.alone.payloads["archive"]
        return Action("".join(script), payloads, timeout=3600.0)

    def undo(self, spec: ContainerdImageSpec, prior: Observation) -> Action | None:
        if prior.presence is Presence.ABSENT:
            return Action(f"command -v ctr >/dev/null || exit 0\n{self._names(spec)}{_REMOVE}")
        same = prior.attributes.get("digest") == spec.digest
        return Action(":\n") if same else None

    def _names(self, spec: ContainerdImageSpec) -> str:
        """Shell that names the image, and makes `ctr` speak to its containerd."""
        return f'ctr() {{\n    command {spec.client} "$@"\n}}\nref={quote(spec.ref)}\n'


# check ADDRESS NAMESPACE: lines of all images in $images, or k is not 0. row REF: one record.
_LOOK = r"""
check() {
    k=0 images=
    command -v ctr >/dev/null || { k=2; return; }
    images=$(ctr --address "$1" --connect-timeout 10s --namespace "$2" images check 2>&1)
    case $images in *'REF '*) return ;; esac
    why=$(ctr --address "$1" --connect-timeout 10s --namespace "$2" images ls 2>&1 >/dev/null) || k=3
}
row() {
    case $k in
    2) emit 2 '' ; return ;;
    3) emit 3 "${why#ctr: }" ; return ;;
    esac
    a=$(printf '%s\n' "$images" | WANT=$1 awk '$1 == ENVIRON["WANT"] { print $3, $4; exit }')
    if [ -n "$a" ]; then emit 0 "$a"; else emit 1 ''; fi
}
"""

_FUNCTIONS = """\
fail() {
    printf '%s\\n' "$*" >&2
    exit 1
}
"""

_CLIENT_NEEDED = """\
command -v ctr >/dev/null || fail "there is no ctr on this host: containerd must be installed first"
"""

_IMPORT = """\
said=$(payload archive | ctr images import - 2>&1) || fail "$said"
"""

# by its digest, so that no registry can give another one; the mirrors are those that the kubelet uses
_PULL = """\
set --
[ ! -d /etc/containerd/certs.d ] || set -- --hosts-dir /etc/containerd/certs.d
said=$(ctr images pull "$@" "$by_digest" 2>&1) || fail "$(printf '%s\\n' "$said" | tail -n 3)"
ctr images tag --force "$by_digest" "$ref" >/dev/null
"""

_CONFIRM = """\
found=$(ctr images ls "name==$ref" | WANT=$ref awk '$1 == ENVIRON["WANT"] { print $3 }')
[ -n "$found" ] || fail "no image there is called $ref: $said"
[ "$found" = "$digest" ] || fail "$ref is not the expected image: it is $found instead of $digest"
"""

# what the kubelet's side of containerd calls it as well goes along, unless another tag still means it
_REMOVE = """\
names=$(ctr images ls | WANT=$ref awk '
    NR == 1 { next }
    { digest[$1] = $3 }
    END {
        if (!(ENVIRON["WANT"] in digest)) exit
        for (name in digest) {
            if (digest[name] != digest[ENVIRON["WANT"]] || name == ENVIRON["WANT"]) continue
            if (name ~ /^sha256:/ || name ~ /@sha256:/) more = more "\\n" name; else kept = 1
        }
        print ENVIRON["WANT"] (kept ? "" : more)
    }')
[ -z "$names" ] || printf '%s\\n' "$names" | while read -r name; do
    ctr images rm --sync "$name" >/dev/null
done
"""


__all__ = ["ContainerdImageExecutor", "ContainerdImageSpec"]
