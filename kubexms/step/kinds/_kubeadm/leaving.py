"""Leaving a cluster: drained and out of etcd through another control plane, then reset, then deleted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import StepContext
from kubexms.step.kinds._kubeadm import scripts
from kubexms.step.kinds._kubeadm.network import OWN_PART, without_route
from kubexms.step.kinds._kubeadm.peers import Council, Member, council, through
from kubexms.step.kinds._kubeadm.survey import ADMIN, OWN, PATHS
from kubexms.step.shell import quote

DRAIN = r"""
if ! said=$(admin get node "$node" -o name 2>&1); then
  case $said in *NotFound*) exit 0 ;; *) echo "$said" >&2; exit 1 ;; esac
fi
cordoned=$(admin get node "$node" -o 'jsonpath={.spec.unschedulable}')
admin cordon "$node"
# where no other node takes pods, eviction serves nobody
others=$(admin get nodes -o go-template='{{range .items}}{{$takes := not .spec.unschedulable}}
{{range .spec.taints}}{{if ne .effect "PreferNoSchedule"}}{{$takes = false}}{{end}}{{end}}
{{if $takes}}other{{end}}{{end}}')
case $others in
*other*)
  if ! admin drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout="${limit}s"; then
    [ "$cordoned" = true ] || admin uncordon "$node" || :
    echo "$node could not be drained within $limit s; it takes pods as before" >&2
    exit 1
  fi ;;
esac
"""

_UNMEMBER = r"""
pki=/etc/kubernetes/pki/etcd
e() {
  set -- --cacert "$pki/ca.crt" --cert "$pki/server.crt" --key "$pki/server.key" "$@"
  set -- --endpoints "${at:-https://127.0.0.1:2379}" "$@"
  if command -v etcdctl >/dev/null; then
    ETCDCTL_API=3 etcdctl "$@"
  else
    # an etcd of kubeadm's speaks version 3 unasked, and its image may hold nothing else than etcd
    admin -n kube-system exec "etcd-$own" -- etcdctl "$@"
  fi
}
[ -e /etc/kubernetes/manifests/etcd.yaml ] || [ -e /etc/systemd/system/etcd.service ] || exit 0
members=$(e member list) || exit 1
id=$(printf '%s\n' "$members" | awk -F', ' -v n="$node" -v a="$address" \
  '$3 == n || (a != "" && index($4, "//" a ":")) { print $1 }')
[ -n "$id" ] || exit 0
if [ -n "${lame:-}" ]; then
  at=$(printf '%s\n' "$members" | awk -F', ' -v i="$id" '$1 == i { print $5 }')
  if [ -n "$at" ] && e endpoint health >/dev/null 2>&1; then
    echo "a member of etcd that is called $node works at $at, and this host has none" >&2
    exit 1
  fi
  at=
fi
e member remove "$id"
"""


_IF_KNOWN = r"""
admin get node "$node" -o name >/dev/null 2>&1 || exit 0
"""

_DELETE = r"""
admin delete node "$node" --ignore-not-found --wait=false
"""


_WORKS = r"""
case $(admin get node "$node" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null) in
True) works=1 ;;
*) works= ;;
esac
"""


def removal(node: str, drain: int) -> str:
    """On a control plane: a node drained if it works, out of etcd if it is in, and deleted."""
    head = f"node={quote(node)}\naddress=\nlimit={drain}\nown=$(sed -n s/^node=//p {OWN}/node)\n"
    parts = (f"(\n{DRAIN})\n", f"(\n{_UNMEMBER})\n")
    return head + _WORKS + '[ -z "$works" ] || ' + parts[0] + parts[1] + _DELETE


def out_of_etcd(node: str, address: str, own: str) -> str:
    """On the control plane `own`: no member of etcd has this node's name or address any more.

    One that works is left alone, and the script fails: it is another machine's. A node that the API does not
    know has none.
    """
    bracketed = f"[{address}]" if ":" in address else address
    head = f"node={quote(node)}\nown={quote(own)}\naddress={quote(bracketed)}\n"
    return PATHS + ADMIN + head + _IF_KNOWN + "lame=1\n" + _UNMEMBER


_PART = re.compile(r"[0-9a-fA-F.:]+/[0-9]+")


@dataclass(frozen=True)
class Leaver:
    """What has to be known of a node that leaves."""

    node: str
    plane: bool
    peers: Sequence[str]
    drain: int
    """Seconds for eviction."""
    socket: str | None
    neighbours: Sequence[str]
    """Other nodes, which have routes to its pods."""
    address: str | None
    """Of its API server: an etcd member that has never started has no name yet."""
    stores: bool = True
    """As a control plane it is a member of etcd, and leaves that too."""
    reset: str = ""
    """What clears the host itself, where kubeadm has not made it a member."""


def leave(context: StepContext, leaver: Leaver) -> Outcome:
    """Take the host out. Raises `StepError` before anything is done where a quorum would suffer."""
    # the host is compared with the plan now: once others have begun, its view of the API is another one
    compared = context.exchange(Action(":"), verify=False)
    if not compared.acted:
        return compared
    status = context.observe().attributes.get("status")
    asked = council(context, leaver.peers, first=not leaver.plane)
    through_one = asked.ready[0] if asked.ready else None
    if through_one is None:
        _alone(asked, leaver, partial=status == "partial")
    else:
        if leaver.plane:
            _keeps_quorum(asked, leaver)
        if status == "member":
            context.progress(f"drained through {through_one.peer.host}, for at most {leaver.drain} s")
            _have(through_one, leaver, DRAIN, f"drain {leaver.node}", 60.0 + leaver.drain)
        if leaver.plane and leaver.stores:
            context.progress("taken out of etcd")
            _have(through_one, leaver, _UNMEMBER, f"take {leaver.node} out of etcd", 120.0)
    part = context.exchange(Action(OWN_PART), verify=False).stdout.decode("utf-8", "replace").strip()
    outcome = context.exchange(Action(leaver.reset or scripts.reset(leaver.socket), timeout=600.0))
    if outcome.acted and outcome.status == 0 and through_one is not None:
        _have(through_one, leaver, _DELETE, f"delete the node {leaver.node}", 120.0)
        _forgotten_by(context, leaver.neighbours, part)
    return outcome


def _forgotten_by(context: StepContext, neighbours: Sequence[str], part: str) -> None:
    """The others' routes to its pods go. One that does not answer keeps them, and the next plan shows it."""
    if not _PART.fullmatch(part):
        return
    for name in neighbours:
        if name == context.connection.host:
            continue
        with suppress(PeerFailed):
            context.peer(name).exchange(Action(without_route(part), timeout=30.0))


def _have(member: Member, leaver: Leaver, script: str, what: str, timeout: float) -> None:
    address = leaver.address or ""
    bracketed = f"[{address}]" if ":" in address else address
    head = f"node={quote(leaver.node)}\nown={quote(member.survey.node)}\nlimit={leaver.drain}\n"
    head += f"address={quote(bracketed)}\n"
    through(member, Action(PATHS + ADMIN + head + script, timeout=timeout), what)


def _alone(asked: Council, leaver: Leaver, *, partial: bool) -> None:
    """Nobody can help: right only for the last one, and for a worker that never was a member."""
    if not asked.silent and not asked.unready:
        return
    if partial and not leaver.plane:
        return
    raise StepError(
        "no control plane is ready to take this node out of the cluster",
        detail=f"{asked.reasons()}\nRepair it first. If it is gone for good, take it out of the inventory, "
        "forget it (`kubexms state forget --host`), and apply again.",
    )


def _keeps_quorum(asked: Council, leaver: Leaver) -> None:
    """A member of etcd less: are those that work still more than half of those that are left?"""
    if not leaver.stores:
        return
    left = len(asked.ready) + len(asked.unready) + len(asked.silent)
    needed = left // 2 + 1
    if len(asked.ready) < needed:
        raise StepError(
            f"without this control plane {len(asked.ready)} of {left} would be ready; etcd needs {needed}",
            detail=f"{asked.reasons()}\nRepair them first.",
        )
