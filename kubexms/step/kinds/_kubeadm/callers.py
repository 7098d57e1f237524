"""Who reaches the API by which name, asked of the hosts themselves before a name goes."""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Fragment
from kubexms.step.contract import StepContext
from kubexms.step.kinds._kubeadm.serving import host_of, plain

# What a control plane's parts go to beside them is for its own certificate, which has its own address.
SERVERS = r"""
cd /etc/kubernetes 2>/dev/null || exit 0
here=$(sed -n 's/.*kube-apiserver\.advertise-address\.endpoint: *//p' \
  manifests/kube-apiserver.yaml 2>/dev/null)
[ -n "$here" ] || here=$(sed -n 's/.*--advertise-address=\([^ ]*\).*/\1:6443/p' \
  /etc/systemd/system/kube-apiserver.service 2>/dev/null)
cat ./*.conf 2>/dev/null | sed -n 's|^ *server: *https://||p' | grep -vxF -e "${here:--}" || :
"""
_CLIENT = Fragment(f'a=$(\n{SERVERS})\nemit 0 "$a"\n', timeout=20.0)


def unused(context: StepContext, clients: Sequence[str], names: Sequence[str]) -> None:
    """Raises `StepError` unless every client answers, and none uses one of these names."""
    own = context.connection.host
    used, silent = list[str](), list[str]()
    for name in clients:
        try:
            if name == own:
                answer = context.connection.ask((_CLIENT,), deadline=30.0).answers[0]
            else:
                answer = context.peer(name).ask(_CLIENT)
        except PeerFailed as error:
            silent.append(f"{name}: {error.summary}")
            continue
        if answer.failure is not None or not answer.records:
            silent.append(f"{name}: {answer.detail or 'no answer'}")
            continue
        for line in answer.records[0].text.decode("utf-8", "replace").split():
            if plain(host_of(line.rstrip("/"))) in names:
                used.append(f"{name} reaches the API by {line}")
    if used or silent:
        raise StepError(
            "it is not certain that nobody uses the names that are to go: " + ", ".join(names),
            detail="\n".join(dict.fromkeys([*used, *silent]))
            + "\nRepair these hosts, or take them out of the inventory, and apply again.",
        )
