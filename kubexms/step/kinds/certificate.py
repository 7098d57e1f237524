"""The kind `certificate`: a control plane's certificates are renewed in time, and served."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, JsonValue, model_validator

from kubexms.runtime.protocol import Action, Outcome, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, StepArgs, StepContext
from kubexms.step.kinds._kubeadm.documents import holds
from kubexms.step.kinds._kubeadm.lifetimes import SHOWN, lifetimes, written
from kubexms.step.kinds._kubeadm.scripts import API_READY, PID
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.observation import Attributes, Observation, Presence

NO_CLUSTER = 3
_ENDS = (
    "the certificate authority {name} ends on {end}, and what it has signed with it. Nothing here replaces "
    "it: do that by hand before (kubernetes.io, Manual Rotation of CA Certificates)"
)


class CertificateSpec(StepArgs):
    """The certificates that kubeadm made for a control plane do not run out.

    Those that end within `renewBeforeDays` (by the host's clock) are renewed by kubeadm, and what uses them
    is restarted, on one control plane at a time. A certificate that was renewed and is not served yet
    (somebody forgot the restart) counts as well. Certificate authorities are left alone: half a year before
    one ends, plans say so.
    """

    renew_before_days: int = Field(default=30, ge=1, le=300)
    """Renew what ends within so many days. kubeadm's certificates last 365."""
    config: str = ""
    """kubeadm's configuration, as in `kubeadmNode`, where new certificates are to last as it says
    (`certificateValidityPeriod`, from Kubernetes 1.31 on). Without it, as when the cluster was made."""

    @model_validator(mode="after")
    def _configured(self) -> Self:
        if self.config:
            holds(self.config, "ClusterConfiguration")
        return self


class CertificateExecutor(OneByOne[CertificateSpec]):
    """See `CertificateSpec`. The host needs openssl."""

    kind: ClassVar[str] = "certificate"
    spec: ClassVar[type[StepArgs]] = CertificateSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"renew_before_days": ("due",), "config": ()}
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = "- {name: certificates, kind: certificate, renewBeforeDays: 30}\n"

    def ask(self, spec: CertificateSpec) -> str:
        return f"{PATHS}{_ASK}"

    def observe(self, spec: CertificateSpec, record: Record) -> Observation:
        """Absent before the host is a control plane."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not show its certificates")
        found = lifetimes(text)
        due: list[JsonValue] = [
            name for name in found.ends if name in NAMES and found.within(name, spec.renew_before_days)
        ]
        stale: list[JsonValue] = [
            line.removeprefix("stale ") for line in text.splitlines() if line.startswith("stale ")
        ]
        ends: dict[str, JsonValue] = {name: written(end) for name, end in found.ends.items() if name in NAMES}
        notes: list[JsonValue] = [
            _ENDS.format(name=name, end=written(found.ends[name]))
            for name in AUTHORITIES
            if name in found.ends and found.within(name, _EARLY)
        ]
        extra: dict[str, JsonValue] = {"ends": ends}
        if notes:
            extra["notes"] = notes
        return Observation.present({"due": due, "unserved": stale}, extra)

    def desired(self, spec: CertificateSpec) -> Attributes | None:
        return {"due": [], "unserved": []}

    def disruption(self, spec: CertificateSpec, request: ChangeRequest) -> Disruption:
        return Disruption.RESTART if request.before.presence is Presence.PRESENT else Disruption.NONE

    def action(self, spec: CertificateSpec, request: ChangeRequest) -> Action:
        due = request.before.attributes.get("due")
        names = [name for name in due if name in NAMES] if isinstance(due, list) else []
        renew, payloads = "kubeadm certs renew {}\n", dict[str, Payload]()
        if spec.config:
            renew = "payload config | kubeadm certs renew {} --config /dev/stdin\n"
            payloads["config"] = Payload(data=spec.config.encode())
        script = f"{PATHS}{ADMIN}" + "".join(renew.format(name) for name in names)
        return Action(script + PID + _RESTART, payloads, timeout=900.0)

    def run(self, context: StepContext, spec: CertificateSpec, request: ChangeRequest) -> Outcome:
        """One control plane at a time: the others serve meanwhile."""
        with context.alone("control plane"):
            return context.exchange(self.action(spec, request))

    def summary(self, spec: CertificateSpec) -> str:
        return "control plane"

    def object_id(self, spec: CertificateSpec) -> str:
        """A host has one set of them."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


FILES = {
    "apiserver": "apiserver.crt",
    "apiserver-kubelet-client": "apiserver-kubelet-client.crt",
    "apiserver-etcd-client": "apiserver-etcd-client.crt",
    "front-proxy-client": "front-proxy-client.crt",
    "etcd-server": "etcd/server.crt",
    "etcd-peer": "etcd/peer.crt",
    "etcd-healthcheck-client": "etcd/healthcheck-client.crt",
}
CONFS = ("admin.conf", "controller-manager.conf", "scheduler.conf")
NAMES = (*FILES, *CONFS)
"""As `kubeadm certs renew` calls them."""
AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")
_EARLY = 180
"""Days before the end of an authority from which on plans say so."""

_ASK = (
    SHOWN
    + r"""
k=/etc/kubernetes
[ -e "$k/admin.conf" ] || exit 3
[ -r "$k/admin.conf" ] || { echo 'permission denied: /etc/kubernetes/admin.conf cannot be read'; exit 1; }
command -v openssl >/dev/null || { echo 'openssl is not installed on this host'; exit 1; }
# first: the first certificate alone, so that texts can be compared: starting openssl once more takes long
first() { sed -n '/^-----BEGIN CERTIFICATE-/,/^-----END CERTIFICATE-/{p;/^-----END/q;}' | tr -d '\r'; }
# served NAME FILE PORT AUTHORITY OPTION...: whether what is served is what is on the disk. With the
# authorities of the whole world, which nobody asks here, openssl takes eight times as long to start.
served() {
  n=$1 f=$2 port=$3 ca=$4
  shift 4
  [ -e "$f" ] || return 0
  [ ! -r "$ca" ] || set -- "$@" -CAfile "$ca"
  s=$(timeout 5 openssl s_client -connect "127.0.0.1:$port" "$@" </dev/null 2>/dev/null | first)
  [ -z "$s" ] || [ "$s" = "$(first <"$f")" ] || echo "stale $n"
}
shown LOOKS
m=$k/manifests/kube-apiserver.yaml
port=$(sed -n 's/.*--secure-port=\([0-9]*\).*/\1/p' "$m" 2>/dev/null | head -n 1)
served apiserver "$k/pki/apiserver.crt" "${port:-6443}" "$k/pki/ca.crt"
served etcd-server "$k/pki/etcd/server.crt" 2379 "$k/pki/etcd/ca.crt" \
  -cert "$k/pki/etcd/healthcheck-client.crt" -key "$k/pki/etcd/healthcheck-client.key"
exit 0
"""
).replace(
    "LOOKS",
    " ".join(
        [
            *(f'{name} "$k/pki/{file}"' for name, file in FILES.items()),
            *(f'{name} "$k/{name}"' for name in CONFS),
            *(f'{name} "$k/pki/{name}.crt"' for name in AUTHORITIES),
        ]
    ),
)

# What reads its certificates when it starts is ended; the kubelet starts it again. The API needs etcd.
_RESTART = (
    r"""
for c in etcd kube-apiserver kube-controller-manager kube-scheduler kube-vip; do
  was=$(pid "$c")
  [ -n "$was" ] || continue
  kill -TERM "$was"
  n=0
  until now=$(pid "$c"); [ -n "$now" ] && [ "$now" != "$was" ]; do
    n=$((n + 1))
    [ "$n" -lt 180 ] || { echo "the kubelet has not started $c again within 180 s" >&2; exit 1; }
    sleep 1
  done
done
"""
    + API_READY
)


__all__ = ["CertificateExecutor", "CertificateSpec"]
