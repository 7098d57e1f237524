"""A node and the control planes that it asks: these say what they are told to, and what was done is noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from kubexms.errors import PeerFailed
from kubexms.runtime.protocol import Action, Answer, Connection, Fragment, Outcome, Record
from kubexms.step.contract import PeerContext
from kubexms.step.observation import Observation
from tests.steps.context import InCompany

TOKEN, KEY = "abcdef.0123456789abcdef", "5" * 64
MINTED = (
    f"kubeadm join k8s.test:6443 --token {TOKEN} --discovery-token-ca-cert-hash sha256:{'a' * 64}\n{KEY}\n"
)

PLANE = "\n".join(
    f"has {name}"
    for name in (
        "kubelet.conf",
        "admin.conf",
        "pki/ca.crt",
        "manifests/kube-apiserver.yaml",
        "manifests/kube-controller-manager.yaml",
        "manifests/kube-scheduler.yaml",
    )
)
READY = f"{PLANE}\nserver https://k8s.test:6443\ncluster prod\nca one\nready\n"
UNREADY = READY.replace("ready\n", "")

STEPS = ("admin drain", "member remove", "kubeadm reset", "admin delete node")
WAYS = ("kubeadm upgrade", "admin drain", "restart kubelet", 'admin uncordon "$node"\n', "version=1.20.3")


def done(status: int = 0, stdout: str = "", stderr: str = "") -> Outcome:
    return Outcome((), True, status, stdout.encode(), stderr.encode(), (), 0.0)


def has_pods_at(part: str) -> Callable[[Action], Outcome]:
    """What a host says that has this part of the pods' network."""
    return lambda action: done(
        stdout=f"{part}\n" if "10-kubexms.conflist 2>/dev/null | head" in action.script else ""
    )


@dataclass
class Peer:
    """A control plane that says what it is told to; `log` has who did what, in order."""

    name: str
    told: str | None
    log: list[tuple[str, Action]]
    fails: str = ""

    @property
    def host(self) -> str:
        return self.name

    def ask(self, fragment: Fragment) -> Answer:
        if self.told is None:
            raise PeerFailed(f"{self.name}: no route")
        return Answer((Record(0, self.told.encode()),))

    def exchange(self, action: Action) -> Outcome:
        self.log.append((self.name, action))
        if self.fails and self.fails in action.script:
            return done(1, stderr="error: cannot evict: a budget forbids it")
        return done(stdout=MINTED if "token create" in action.script else "")


@dataclass
class Host(InCompany):
    """The step's own host."""

    own: str
    peers: Mapping[str, str | None]
    status: str = "absent"
    fails: str = ""
    says: Callable[[Action], Outcome] = lambda action: done()
    log: list[tuple[str, Action]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.own

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)

    def peer(self, host: str) -> PeerContext:
        if host not in self.peers:
            raise PeerFailed(f"{host} is not in the inventory")
        return Peer(host, self.peers[host], self.log, self.fails)

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        self.log.append((self.own, action))
        return self.says(action)

    def observe(self) -> Observation:
        return Observation.present({"status": self.status})

    def did(self, *what: str) -> list[str]:
        """Who did which of these, in order."""
        return [f"{who} {word}" for who, action in self.log for word in what if word in action.script]
