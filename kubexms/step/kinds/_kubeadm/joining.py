"""Becoming a member: through a control plane that is ready, or as the first one if there is none at all."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Outcome, Payload
from kubexms.step.contract import StepContext
from kubexms.step.kinds._kubeadm import scripts
from kubexms.step.kinds._kubeadm.authorities import authorities
from kubexms.step.kinds._kubeadm.documents import advertised, external_etcd, joining, without_etcd_files
from kubexms.step.kinds._kubeadm.kubelets import INSTALL_LIMIT
from kubexms.step.kinds._kubeadm.leaving import out_of_etcd
from kubexms.step.kinds._kubeadm.peers import Member, council, through
from kubexms.step.kinds._kubeadm.skew import refuse_behind
from kubexms.step.kinds._pki.survey import OPENSSL

KUBEADM_LIMIT = 900.0
"""Seconds for kubeadm, and for the API server to become ready."""

_TOKEN = re.compile(r"--token ([a-z0-9]{6}\.[a-z0-9]{16})")
_HASH = re.compile(r"--discovery-token-ca-cert-hash (sha256:[0-9a-f]{64})")
_KEY = re.compile(r"(?m)^[0-9a-f]{64}$")
_ADVICE = re.compile(
    rb"(?m)^(\[preflight\] If you know what you are doing|To see the stack trace of this error)\b.*\n?"
)
"""At the end of kubeadm's errors, after what went wrong."""


@dataclass(frozen=True)
class Joiner:
    """What a node needs to become a member."""

    cluster: str
    node: str
    role: str
    version: str
    endpoint: str
    peers: Sequence[str]
    config: str
    join_config: str
    skip: tuple[str, ...] = ()
    authority_days: int | None = None
    """How long new authorities last; None leaves that to kubeadm."""
    pod: str = ""
    """A static pod that must be there for the endpoint's address."""
    first_pod: str = ""
    """The same for who begins the cluster; empty: `pod`."""
    package: str = ""
    """The kubelet's package, where another one than is there must be installed; see `kubelet_is`."""

    @property
    def plane(self) -> bool:
        """Whether it becomes a control plane."""
        return self.role == "control-plane"

    def init(self) -> Action:
        """What makes this host the first control plane of a new cluster."""
        script = scripts.begin("init", self.version, self.package)
        if self.authority_days is not None:
            script = OPENSSL + script + authorities(self.authority_days, etcd=not external_etcd(self.config))
        return self._run(script, scripts.init(self.skip), self.config.encode(), self.first_pod or self.pod)

    def join(self, config: bytes) -> Action:
        """What makes it a member of a cluster that exists."""
        begin = scripts.begin("join", self.version, self.package)
        return self._run(begin, scripts.JOIN, config, self.pod)

    def _run(self, begin: str, kubeadm: str, config: bytes, pod: str) -> Action:
        payloads = {"config": Payload(data=config, sensitive=True)}
        if pod:
            kubeadm = scripts.POD + kubeadm
            payloads["pod"] = Payload(data=pod.encode())
        script = begin + kubeadm + scripts.member(self.cluster, self.node, self.role, self.version)
        return Action(script, payloads, timeout=KUBEADM_LIMIT + (INSTALL_LIMIT if self.package else 0.0))


def enter(context: StepContext, joiner: Joiner) -> Outcome:
    """Join, or be the first. Raises `StepError` with nothing done where neither is certain to be right."""
    asked = council(context, joiner.peers, first=not joiner.plane)
    if asked.ready:
        return _join(context, joiner, asked.ready[0])
    own = context.connection.host
    if asked.silent or asked.unready:
        raise StepError(
            "no control plane is ready, and not all of them are known to be absent",
            detail=f"{asked.reasons()}\nA second cluster is never begun because one does not answer: "
            "repair that host, or take it out of the inventory, and apply again.",
        )
    if not joiner.plane or not joiner.peers or joiner.peers[0] != own:
        first = joiner.peers[0] if joiner.peers else "none"
        raise StepError(
            "there is no cluster to join yet",
            detail=f"Only the first control plane ({first}) begins one. See why it has not.",
        )
    context.progress("no control plane yet: this host begins the cluster (kubeadm init)")
    return _scrubbed(context.exchange(joiner.init()), ())


def _join(context: StepContext, joiner: Joiner, member: Member) -> Outcome:
    refuse_behind(joiner.version.removeprefix("v"), [member])
    context.progress(f"joins through {member.peer.host}")
    if joiner.plane:
        # this host has no member: one of its name or address is that of a machine that is gone
        address = advertised(joiner.join_config) or ""
        gone = out_of_etcd(joiner.node, address, member.survey.node)
        through(member, Action(gone, timeout=120.0), "take this host's former member out of etcd")
    uploaded = without_etcd_files(joiner.config) if external_etcd(joiner.config) else joiner.config
    payloads = {"config": Payload(data=uploaded.encode(), sensitive=True)} if joiner.plane else {}
    script = scripts.mint(joiner.node, plane=joiner.plane)
    minted = through(member, Action(script, payloads, timeout=300.0), f"let {joiner.node} in")
    text = minted.stdout.decode("utf-8", "replace")
    token, ca_hash, key = _TOKEN.search(text), _HASH.search(text), _KEY.search(text)
    if token is None or ca_hash is None or (joiner.plane and key is None):
        raise StepError(f"{member.peer.host} gave no token: kubeadm there says something unforeseen")
    secrets = (token.group(1), key.group() if key else "")
    config = joining(
        joiner.join_config,
        endpoint=joiner.endpoint,
        token=token.group(1),
        ca_hash=ca_hash.group(1),
        certificate_key=key.group() if joiner.plane and key else None,
    )
    try:
        return _scrubbed(context.exchange(joiner.join(config)), secrets)
    finally:
        member.peer.exchange(Action(scripts.revoke(token.group(1)), timeout=60.0))


def _scrubbed(outcome: Outcome, secrets: Sequence[str]) -> Outcome:
    """What kubeadm printed, which is recorded, without what was minted and its advice on its own options."""
    out, err = outcome.stdout, _ADVICE.sub(b"", outcome.stderr)
    for secret in filter(None, secrets):
        out = out.replace(secret.encode(), b"(hidden)")
        err = err.replace(secret.encode(), b"(hidden)")
    return dataclasses.replace(outcome, stdout=out, stderr=err)
