"""To another version: kubeadm first, then, with the pods elsewhere, the kubelet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import StepContext
from kubexms.step.kinds._kubeadm import scripts
from kubexms.step.kinds._kubeadm.kubelets import INSTALL_LIMIT, kubelet_is
from kubexms.step.kinds._kubeadm.leaving import DRAIN
from kubexms.step.kinds._kubeadm.peers import Member, council, through
from kubexms.step.kinds._kubeadm.skew import refuse_behind
from kubexms.step.kinds._kubeadm.survey import ADMIN, OWN, PATHS
from kubexms.step.shell import quote

_CONTROL = r"""
now=$(admin -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' |
  sed -n 's/^kubernetesVersion: *//p')
if [ "$now" = "$want" ]; then kubeadm upgrade node; else
  if [ -n "$before" ] && ! "$before"; then
    echo "nothing was upgraded: $before has failed" >&2
    exit 1
  fi
  kubeadm upgrade apply --yes "$want"
fi
"""

_NOW = r"""
admin -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' |
  sed -n 's/^kubernetesVersion: *//p'
"""

_KUBELET = r"""
systemctl daemon-reload
systemctl restart kubelet
n=0
until [ "$(kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout=5s \
    get node "$node" \
    -o 'jsonpath={.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=="Ready")].status}' \
    2>/dev/null)" = "$want True" ]; do
  n=$((n + 1))
  [ "$n" -lt 180 ] || { echo "the node is not ready with a kubelet $want within 180 s" >&2; exit 1; }
  sleep 1
done
"""

_CORDONED = r"""
if [ "$(admin get node "$node" -o 'jsonpath={.spec.unschedulable}')" = true ]; then echo cordoned; fi
"""

_UNCORDON = 'admin uncordon "$node"\n'


@dataclass(frozen=True)
class Upgrader:
    """What has to be known of a node whose version changes."""

    cluster: str
    node: str
    role: str
    version: str
    peers: Sequence[str]
    drain: int
    before: str | None = None
    """A program that must succeed before the cluster changes its version."""
    before_on: Sequence[str] = ()
    """Hosts that have it, where this one has not."""
    package: str = ""
    """The kubelet's package; it is installed when the pods are elsewhere. Without, the program is there."""

    def check(self) -> str:
        """The programs on the host are of that version, but for a kubelet that comes as a package."""
        return scripts.check(self.version) + ("" if self.package else kubelet_is())

    def kubelet(self) -> Action:
        """The new kubelet is started, and the node ready with it."""
        head = self.check() + f"node={quote(self.node)}\n"
        install = kubelet_is(self.package) if self.package else ""
        return Action(head + install + _KUBELET, timeout=300.0 + (INSTALL_LIMIT if install else 0.0))

    def configured(self) -> Action:
        """kubeadm's part: the control plane's static pods, the kubelet's configuration."""
        before = f"before={quote('' if self.before_on else self.before or '')}\n"
        control = before + ADMIN + _CONTROL if self.role == "control-plane" else "kubeadm upgrade node\n"
        return Action(self.check() + control, timeout=900.0)


def upgrade(context: StepContext, node: Upgrader) -> Outcome:
    """Bring a member to another version; what was cut off is begun again where it was.

    Raises `StepError` where no control plane is ready, a worker would be newer than it, or the node could
    not be drained: its kubelet is then as it was.
    """
    plane = node.role == "control-plane"
    compared = context.exchange(Action(":"), verify=False)
    if not compared.acted:
        return compared
    asked = council(context, node.peers, first=not plane)
    member = asked.ready[0] if asked.ready else None
    if member is None and not plane:
        raise StepError("no control plane is ready to drain this node", detail=asked.reasons())
    if not plane:
        refuse_behind(node.version, asked.ready)
    context.progress(f"to {node.version}")
    head = node.check() + f"node={quote(node.node)}\n"
    if plane and node.before is not None and node.before_on:
        _prepare(context, node, node.before)
    first = context.exchange(node.configured(), verify=False)
    if first.timed_out or first.status != 0:
        return first
    cordoned = b"cordoned" in _ask(context, member, node, _CORDONED, "ask for the node", 60.0).stdout
    ours = _ours(context)
    if not cordoned:
        context.exchange(Action(_mark("touch")), verify=False)
    context.progress(f"drained for at most {node.drain} s, then a new kubelet")
    try:
        _ask(context, member, node, DRAIN, f"drain {node.node}", 60.0 + node.drain)
    except StepError:
        if ours:
            _ask(context, member, node, _UNCORDON, f"uncordon {node.node}", 60.0)
        context.exchange(Action(_mark("rm -f")), verify=False)
        raise
    last = context.exchange(node.kubelet(), verify=False)
    if last.timed_out or last.status != 0:
        return last
    if ours or not cordoned:  # what a person cordoned stays so
        _ask(context, member, node, _UNCORDON, f"uncordon {node.node}", 60.0)
    end = head + _mark("rm -f") + scripts.member(node.cluster, node.node, node.role, node.version)
    return context.exchange(Action(end, timeout=300.0))


def _prepare(context: StepContext, node: Upgrader, program: str) -> None:
    """Where this node begins the upgrade: another host runs the program. Raises `StepError` if none can."""
    now = context.exchange(Action(PATHS + ADMIN + _NOW, timeout=60.0), verify=False)
    if now.stdout.decode("utf-8", "replace").strip() == f"v{node.version}":
        return
    said = list[str]()
    for name in node.before_on:
        context.progress(f"{program} on {name}")
        try:
            outcome = context.peer(name).exchange(Action(f"{quote(program)}\n", timeout=1800.0))
        except PeerFailed as error:
            said.append(f"{name}: {error.summary}")
            continue
        if outcome.status == 0 and not outcome.timed_out:
            return
        said.append(f"{name}: {outcome.stderr.decode('utf-8', 'replace').strip()[-500:]}")
    raise StepError(f"nothing was upgraded: {program} has failed", detail="\n".join(said))


@dataclass(frozen=True)
class UnitUpgrader(Upgrader):
    """A node whose kubelet is a unit, without kubeadm: the control plane's units have their own steps."""

    def check(self) -> str:
        """The kubelet is of that version."""
        return f"{PATHS}own={OWN}\nwant={quote('v' + self.version)}\n{kubelet_is()}"

    def configured(self) -> Action:
        """There is nothing to prepare."""
        return Action(self.check())


def _mark(verb: str) -> str:
    return f"mkdir -p -m 0700 {OWN}\n{verb} {OWN}/cordoned\n"


def _ours(context: StepContext) -> bool:
    """Whether an earlier run, which was cut off, has cordoned the node."""
    outcome = context.exchange(Action(f"[ ! -e {OWN}/cordoned ] || echo ours\n"), verify=False)
    return b"ours" in outcome.stdout


def _ask(
    context: StepContext, member: Member | None, node: Upgrader, script: str, what: str, timeout: float
) -> Outcome:
    """Through another control plane, or, on the only one, by itself."""
    text = f"{PATHS}{ADMIN}node={quote(node.node)}\nlimit={node.drain}\n{script}"
    action = Action(text, timeout=timeout)
    if member is not None:
        return through(member, action, what)
    outcome = context.exchange(action, verify=False)
    if outcome.timed_out or outcome.status != 0:
        said = (outcome.stderr or outcome.stdout).decode("utf-8", "replace").strip()
        last = said.splitlines()[-1] if said else f"exit status {outcome.status}"
        raise StepError(f"it could not {what}: {last[:300]}", detail=said[-4000:])
    return outcome
