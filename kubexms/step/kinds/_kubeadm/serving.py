"""The names that an API server's certificate is valid for, and how kubeadm makes it anew.

What kubeadm puts into it: `GetAPIServerAltNames` in cmd/kubeadm/app/util/pkiutil of Kubernetes, the same from
1.20 to 1.35.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

import yaml

from kubexms.step.kinds._kubeadm.documents import documents
from kubexms.step.kinds._kubeadm.scripts import API_READY, PID
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS

_SERVICES = "10.96.0.0/12"
_DOMAIN = "cluster.local"
"""kubeadm's own values, where its configuration says nothing."""

_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*")

NEW = "/etc/kubernetes/pki/.kubexms"
"""Where a certificate lies until it takes the place of the one before, on the same file system."""


def names_wanted(config: str) -> list[str]:
    """All names and addresses that kubeadm makes the certificate for with this configuration, sorted.

    Raises `PydanticCustomError` where it is not YAML.
    """
    found = {document["kind"]: document for document in documents(config)}
    cluster, init = found.get("ClusterConfiguration") or {}, found.get("InitConfiguration") or {}
    network = cluster.get("networking") or {}
    names = {
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{network.get('dnsDomain') or _DOMAIN}",
        *_first_service(str(network.get("serviceSubnet") or _SERVICES)),
        *((cluster.get("apiServer") or {}).get("certSANs") or ()),
        str((init.get("nodeRegistration") or {}).get("name") or ""),
        str((init.get("localAPIEndpoint") or {}).get("advertiseAddress") or ""),
        host_of(str(cluster.get("controlPlaneEndpoint") or "")),
    }
    return sorted({plain(str(name)) for name in names if name})


def host_of(endpoint: str) -> str:
    """The host of `host:port` or `[address]:port`."""
    return endpoint.rpartition(":")[0].strip("[]") if ":" in endpoint else endpoint


def plain(name: str) -> str:
    """A name or an address as certificates say it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


def certified(config: str, more: Iterable[str]) -> bytes:
    """The configuration with which kubeadm writes the certificate to `NEW`, valid for these names too.

    What no configuration may hold (an e-mail address, say) is left out.
    """
    found = documents(config)
    for document in found:
        if document["kind"] == "ClusterConfiguration":
            server: dict[str, Any] = dict(document.get("apiServer") or {})
            extra = [name for name in more if _address(name) or _NAME.fullmatch(name)]
            server["certSANs"] = [*dict.fromkeys([*(server.get("certSANs") or ()), *extra])]
            document["apiServer"] = server
            document["certificatesDir"] = NEW
    return yaml.safe_dump_all(found, sort_keys=False).encode()


def _first_service(subnet: str) -> list[str]:
    try:
        return [str(ipaddress.ip_network(subnet.partition(",")[0].strip(), strict=False)[1])]
    except (ValueError, IndexError):
        return []


def _address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


LOOK = r"""
# first: the first certificate alone
first() { sed -n '/^-----BEGIN CERTIFICATE-/,/^-----END CERTIFICATE-/{p;/^-----END/q;}' | tr -d '\r'; }
look() {
  k=/etc/kubernetes
  [ -e "$k/admin.conf" ] || return 3
  [ -r "$k/admin.conf" ] || { echo 'permission denied: /etc/kubernetes/admin.conf cannot be read'; return 1; }
  command -v openssl >/dev/null || { echo 'openssl is not installed on this host'; return 1; }
  [ ! -e "$k/pki/apiserver.crt" ] || first <"$k/pki/apiserver.crt"
  echo '= served'
  port=$(sed -n 's/.*--secure-port=\([0-9]*\).*/\1/p' "$k/manifests/kube-apiserver.yaml" 2>/dev/null |
    head -n 1) || port=
  # with the authorities of the whole world, which nobody asks here, it takes eight times as long to start
  set --
  [ ! -r "$k/pki/ca.crt" ] || set -- -CAfile "$k/pki/ca.crt"
  timeout 5 openssl s_client -connect "127.0.0.1:${port:-6443}" "$@" </dev/null 2>/dev/null | first
}
"""
"""Sh that prints the certificate on the disk, `= served`, and what is served; 3: no control plane."""

# An API server looks at its certificate's file once a minute, and takes it in without an end to anything; its
# end would keep clients off for a minute, as it waits for those who watch. It is ended where it does not.
_TAKEN_IN = r"""
taken_in() {
  n=0
  while [ "$n" -lt 60 ]; do
    told=$(look 2>/dev/null) || told=
    [ "${told%%"= served"*}" != "${told#*"= served$nl"}$nl" ] || return 0
    n=$((n + 1))
    sleep 2
  done
  was=$(pid kube-apiserver)
  if [ -n "$was" ]; then kill -TERM "$was"; fi
  n=0
  until now=$(pid kube-apiserver); [ -n "$now" ] && [ "$now" != "$was" ]; do
    n=$((n + 1))
    if [ "$n" -ge 180 ]; then
      echo 'the kubelet has not started kube-apiserver again within 180 s' >&2
      exit 1
    fi
    sleep 1
  done
}
nl='
'
"""

_ISSUE = r"""
p=/etc/kubernetes/pki new=NEW
rm -rf "$new"
trap 'rm -rf "$new"' EXIT
mkdir -m 0700 "$new"
ln -s ../ca.crt ../ca.key "$new"
payload config | kubeadm init phase certs apiserver --config /dev/stdin
for f in apiserver.key apiserver.crt; do [ ! -e "$p/$f" ] || cp -p "$p/$f" "$new/$f.before"; done
sync "$new"/apiserver.* 2>/dev/null || sync
# the key first: cut off between the two, the certificate still has the former names, and both are made anew
mv -f "$new/apiserver.key" "$p/apiserver.key"
mv -f "$new/apiserver.crt" "$p/apiserver.crt"
if ! (taken_in
READY); then
  for f in apiserver.key apiserver.crt; do [ ! -e "$new/$f.before" ] || mv -f "$new/$f.before" "$p/$f"; done
  was=$(pid kube-apiserver)
  if [ -n "$was" ]; then kill -TERM "$was" || :; fi
  echo 'the former certificate of the API server is in its place again' >&2
  exit 1
fi
""".replace("NEW", NEW).replace("READY", API_READY.strip())

_HEAD = PATHS + ADMIN + PID + LOOK + _TAKEN_IN

ISSUE = _HEAD + _ISSUE
"""Sh that has kubeadm make the certificate (payload `config`), puts it in its place, and waits until the API
server serves it and is ready; otherwise the one before comes back."""

TAKE_IN = _HEAD + "taken_in\n" + API_READY
"""Sh that waits until the API server serves what is on the disk, and ends it where it does not."""
