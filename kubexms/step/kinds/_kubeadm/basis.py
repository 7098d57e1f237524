"""What there is was found to be what kubeadm would make: the digest of all that this rests on, remembered.

Starting kubeadm takes a tenth of a second of each host at each plan. As long as it would be asked with the
same, and the files are the same, nobody asks it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pydantic import JsonValue

from kubexms.step.contract import OneByOne
from kubexms.step.kinds._kubeadm.documents import KubeadmArgs, explicit
from kubexms.step.observation import Observation

K = TypeVar("K", bound=KubeadmArgs)

BASIS = r"""
# basis FILE...: a digest of all that counts for what kubeadm makes of $config, and of these files. Nothing
# where kubeadm may be another one without a sign of it: a script around it, change times of whole seconds.
basis() {
  tool=$(stat -L -c '%i %s %.9Y %.9Z' "$(command -v kubeadm)" 2>/dev/null) || return 0
  size=${tool#* }
  size=${size%% *}
  case $tool in *.000000000 | *.*[!0-9.\ ]*) return 0 ;; *.*.*) ;; *) return 0 ;; esac
  [ "$size" -ge 1048576 ] || return 0
  sum=$({
    printf '%s\n' 1 "$tool" "$config" "${data-}" "${live-}"
    # what kubeadm looks at besides: authorities of the system, systemd-resolved, the environment's proxies
    for d in /etc/pki /etc/pki/ca-trust /etc/pki/tls/certs /etc/ca-certificates /usr/share/ca-certificates \
        /usr/local/share/ca-certificates; do
      [ ! -d "$d" ] || echo "$d"
    done
    [ ! -e /run/systemd/units/invocation:systemd-resolved.service ] || echo resolved
    for p in "${http_proxy-}" "${https_proxy-}" "${ftp_proxy-}" "${all_proxy-}" "${no_proxy-}" \
        "${HTTP_PROXY-}" "${HTTPS_PROXY-}" "${FTP_PROXY-}" "${ALL_PROXY-}" "${NO_PROXY-}"; do
      echo "p $p"
    done
    [ "$#" = 0 ] || sha256sum "$@" 2>&1
  } | sha256sum) || return 0
  echo "${sum%% *}"
}
"""
"""Read-only sh. What kubeadm looks at is in `cmd/kubeadm/app/phases/controlplane/volumes.go` and
`cmd/kubeadm/app/componentconfigs/kubelet.go` of Kubernetes. `data` is etcd's directory, `live` whatever else
counts of what there is."""


def recalled(spec: K, remembered: JsonValue) -> K:
    """`spec` with the digest with which what there is was found right."""
    basis = remembered.get("basis") if isinstance(remembered, dict) else None
    if not isinstance(basis, str) or not re.fullmatch("[0-9a-f]{64}", basis) or not explicit(spec.config):
        return spec
    known = spec.model_copy()
    known._basis = basis
    return known


def basis_of(observation: Observation) -> dict[str, JsonValue]:
    """What is to be remembered of an observation for `recalled`; empty if nothing was told."""
    basis = observation.extra.get("basis")
    return {"basis": basis} if isinstance(basis, str) and basis else {}


class AsksKubeadm(OneByOne[K]):
    """Base of the kinds that compare with what kubeadm would make."""

    recalls: ClassVar[bool] = True

    def remember(self, spec: K, observation: Observation, digests: Mapping[str, str]) -> JsonValue:
        """What kubeadm was asked with when all was found right, and what there was."""
        return basis_of(observation) or None

    def recall(self, spec: K, remembered: JsonValue) -> K:
        """While that is the same, kubeadm is not started."""
        return recalled(spec, remembered)
