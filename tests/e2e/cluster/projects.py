"""A project of one cluster on hosts of the testbed, and what can be seen of the cluster itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.e2e.projects import ProjectDirectory
from tests.e2e.testbed import Fleet, Host

NAME = "demo"
WEB = Path(__file__).parent / "web.yaml"
# What these hosts need: their disks are slow, their kernel is not theirs, their network is 10.99.0.0/24
TESTBED: dict[str, Any] = {
    "etcd": {"extraArgs": {"heartbeat-interval": "500", "election-timeout": "5000"}},
    "kubeProxy": {"config": {"mode": "iptables", "conntrack": {"maxPerCore": 0, "min": 0}}},
    "containerRuntime": {
        "source": "packages",
        "config": {"plugins": {"io.containerd.grpc.v1.cri": {"restrict_oom_score_adj": True}}},
    },
    "network": {"serviceCidr": "10.200.0.0/16"},
}


class ClusterProject(ProjectDirectory):
    """A Cluster document and an inventory of its hosts: names to hosts and roles (blanks between them)."""

    def __init__(self, root: Path, fleet: Fleet, artifacts: Path, *, name: str = NAME) -> None:
        self.name = name
        self.members: dict[str, tuple[Host, str]] = {}
        self.machines: dict[str, Host] = {}
        """Every host that there is for this project, member or not; see `has`."""
        self._roles: dict[str, str] = {}
        version = {"kubernetes": {"version": "1.20.2"}, "artifacts": str(artifacts)}
        self.spec: dict[str, Any] = version | TESTBED
        super().__init__(root, fleet, ())

    def has(self, machines: Iterable[tuple[tuple[str, str], Host]]) -> None:
        """There are these: a name, its role, and the host."""
        for (name, role), host in machines:
            self.machines[name], self._roles[name] = host, role

    def consist_of(self, *names: str, **spec: Any) -> None:
        """Write both documents, with these of the machines as members; see `describe`."""
        self.describe({name: (self.machines[name], self._roles[name]) for name in names}, **spec)

    def describe(self, members: Mapping[str, tuple[Host, str]], **spec: Any) -> None:
        """Write both documents; `spec` is laid over what the testbed needs and what was said before."""
        self.members = dict(members)
        self.spec |= spec
        self.inventory()
        self.write("Cluster", self.spec, name=self.name)

    def inventory(self, hosts: object = None, **connection: Any) -> None:
        """Write the inventory of the members."""
        self.write(
            "Inventory",
            {
                "defaults": {"connection": self.connection() | connection},
                "hosts": [
                    {"name": name, "roles": role.split(), "connection": {"address": host.address}}
                    for name, (host, role) in self.members.items()
                ],
            },
        )

    def kubectl(
        self, arguments: str, *, on: str = "cp1", timeout: float = 60, stdin: str | None = None
    ) -> str:
        """What kubectl prints on a control plane; fails the test if it fails."""
        control_plane, _ = self.members[on]
        command = f"KUBECONFIG=/etc/kubernetes/admin.conf kubectl --cache-dir /dev/null/no {arguments}"
        done = control_plane.run(command, timeout=timeout, stdin=stdin)
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}"
        return done.stdout

    def nodes(self) -> dict[str, str]:
        """Name of every node, and whether it is ready ("True")."""
        found = json.loads(self.kubectl("get nodes -o json"))["items"]
        return {
            node["metadata"]["name"]: next(
                condition["status"]
                for condition in node["status"]["conditions"]
                if condition["type"] == "Ready"
            )
            for node in found
        }

    def await_ready(self, *names: str) -> None:
        """Wait until exactly these are nodes and all are ready."""
        self.kubectl("wait --for=condition=Ready node --all --timeout=120s", timeout=130)
        assert self.nodes() == dict.fromkeys(names, "True")

    def serve(self, replicas: int) -> str:
        """Run a web server, its pods spread over the nodes, and return its service's address."""
        self.kubectl("apply -f -", stdin=WEB.read_text().replace("replicas: 2", f"replicas: {replicas}"))
        self.kubectl("rollout status deploy/web --timeout=120s", timeout=130)
        return self.kubectl("get service web -o jsonpath={.spec.clusterIP}")

    def pods_of_web(self) -> dict[str, str]:
        """The pods that serve, and the node of each."""
        pods = json.loads(self.kubectl("get pods -l app=web -o json"))["items"]
        return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}

    def reached_from(self, pod: str, address: str, wanted: set[str], *, timeout: float = 60) -> set[str]:
        """Ask the service from a pod until each of `wanted` has answered; returns who did."""
        answered: set[str] = set()
        deadline = time.monotonic() + timeout
        while not wanted <= answered and time.monotonic() < deadline:
            asked = f"exec {pod} -- busybox timeout 3 busybox wget -qO- http://{address}/ || true"
            answered |= set(self.kubectl(asked).split())
        return answered
