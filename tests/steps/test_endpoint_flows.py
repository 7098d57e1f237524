"""Names leave an API server's certificate only when nobody uses them, and nobody's answer is guessed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from pydantic import JsonValue

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action, Answer, Connection, Failure, Fragment, Outcome, Record, Reply
from kubexms.step.contract import ActionKind, ChangeRequest, PeerContext
from kubexms.step.kinds._kubeadm import callers
from kubexms.step.kinds.api_server_names import ApiServerNamesExecutor, ApiServerNamesSpec
from kubexms.step.kinds.retired_names import RetiredNamesExecutor, RetiredNamesSpec
from kubexms.step.observation import Observation
from tests.steps.context import InCompany

KIND = ApiServerNamesExecutor()
CONFIG = "kind: ClusterConfiguration\ncontrolPlaneEndpoint: api.test:6443\n"
FOUND: dict[str, JsonValue] = {"missing": [], "unserved": [], "unneeded": ["192.0.2.9", "k8s.test"]}
REQUEST = ChangeRequest(ActionKind.UPDATE, Observation.present(FOUND), frozenset({"unneeded"}))


@dataclass
class Client:
    """A host whose kubeconfigs lead to these; None: it does not answer."""

    host: str
    servers: str | None

    def ask(self, fragment: Fragment) -> Answer:
        if self.servers is None:
            raise PeerFailed(f"{self.host} is in maintenance")
        return Answer((Record(0, self.servers.encode()),))

    def exchange(self, action: Action) -> Outcome:
        raise NotImplementedError


@dataclass
class Plane(InCompany):
    """The control plane of the step."""

    servers: Mapping[str, str | None]
    own: str = "api.test:6443\n192.0.2.11:6443"
    failure: Failure | None = None
    acted: list[Action] = field(default_factory=list)
    host: str = "cp1"

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        records = () if self.failure else (Record(0, self.own.encode()),)
        return Reply((Answer(records, self.failure, "it took too long"),), 0.0)

    def peer(self, host: str) -> PeerContext:
        return Client(host, self.servers[host])

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        self.acted.append(action)
        return Outcome((), True, 0, b"", b"", (), 0.0)


def retire(plane: Plane) -> Plane:
    KIND.run(plane, ApiServerNamesSpec(config=CONFIG, retire=True, clients=("cp1", "w1", "w2")), REQUEST)
    return plane


def test_they_go_when_everybody_goes_by_others() -> None:
    plane = retire(Plane({"w1": "api.test:6443", "w2": "api.test:6443\n"}))
    assert len(plane.acted) == 1
    assert plane.alone_in == ["control plane"]


@pytest.mark.parametrize(
    ("plane", "why"),
    [
        (Plane({"w1": "api.test:6443", "w2": "K8s.test:6443/"}), "w2 reaches the API by K8s.test:6443/"),
        (Plane({"w1": "192.0.2.9:6443", "w2": "api.test:6443"}), "w1 reaches the API by 192.0.2.9:6443"),
        (Plane({"w1": "api.test:6443", "w2": None}), "w2: w2 is in maintenance"),
        (Plane({"w1": "api.test:6443", "w2": "api.test:6443"}, own="k8s.test:6443"), "cp1 reaches the API"),
        (
            Plane({"w1": "api.test:6443", "w2": "api.test:6443"}, failure=Failure.DEADLINE),
            "cp1: it took too long",
        ),
    ],
)
def test_they_stay_while_somebody_may_use_them(plane: Plane, why: str) -> None:
    with pytest.raises(
        StepError, match=r"not certain that nobody uses .*: 192\.0\.2\.9, k8s\.test"
    ) as raised:
        retire(plane)
    assert why in (raised.value.detail or "")
    assert plane.acted == []


def test_without_kubeadm_they_stay_as_well() -> None:
    spec = RetiredNamesSpec.from_json(
        {
            "path": "/etc/kubernetes/pki/apiserver",
            "commonName": "kube-apiserver",
            "sans": ["api.test"],
            "usages": ["server"],
            "authority": "/etc/kubernetes/pki/ca",
            "holders": ["cp1"],
            "clients": ["cp1", "w1"],
        }
    )
    plane = Plane({"w1": "k8s.test:6443"})
    with pytest.raises(StepError, match="not certain that nobody uses") as raised:
        RetiredNamesExecutor().run(plane, spec, REQUEST)
    assert "w1 reaches the API by k8s.test:6443" in (raised.value.detail or "")
    assert plane.acted == []


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_control_plane_may_go_to_itself(tmp_path: Path, shell: str) -> None:
    def told() -> list[str]:
        script = callers.SERVERS.replace("/etc/kubernetes", str(tmp_path))
        script = script.replace("/etc/systemd/system/kube-apiserver.service", str(tmp_path / "unit"))
        return subprocess.run(
            [shell, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()

    assert told() == []
    (tmp_path / "kubelet.conf").write_text("    server: https://192.0.2.1:6443\n")
    (tmp_path / "scheduler.conf").write_text("    server: https://192.0.2.11:6443\n")
    assert told() == ["192.0.2.1:6443", "192.0.2.11:6443"]
    (tmp_path / "manifests").mkdir()
    annotation = "    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.11:6443\n"
    (tmp_path / "manifests/kube-apiserver.yaml").write_text(annotation)
    assert told() == ["192.0.2.1:6443"]
    (tmp_path / "manifests/kube-apiserver.yaml").unlink()
    (tmp_path / "unit").write_text(
        "ExecStart=/usr/local/bin/kube-apiserver \\\n    --advertise-address=192.0.2.11 \\\n"
    )
    assert told() == ["192.0.2.1:6443"]


def test_names_that_come_ask_nobody() -> None:
    plane = Plane({})
    found: dict[str, JsonValue] = {"missing": ["api.test"], "unserved": [], "unneeded": ["k8s.test"]}
    request = ChangeRequest(ActionKind.UPDATE, Observation.present(found), frozenset({"missing"}))
    KIND.run(plane, ApiServerNamesSpec(config=CONFIG), request)
    [action] = plane.acted
    assert b"k8s.test" in (action.payloads["config"].data or b"")
