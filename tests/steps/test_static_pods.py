"""When an API server is restarted for files that it reads when it starts."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from kubexms.runtime.protocol import Record
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption, Source
from kubexms.step.kinds.control_plane_manifest import ControlPlaneManifestExecutor, ControlPlaneManifestSpec
from kubexms.step.observation import Observation

EXECUTOR = ControlPlaneManifestExecutor()
CONFIG = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n"
FILES = ("files/audit", "files/keys")
SPEC = EXECUTOR.bind(
    ControlPlaneManifestSpec(config=CONFIG, restart_on=FILES),
    [Source("files/audit", ("/etc/a b.yaml",)), Source("files/keys", ("/etc/k.yaml",))],
)
SAME = "= etcd as specified\n= kube-apiserver as specified\n"
TAKEN: dict[str, str] = {"files/audit": "1", "files/keys": "1"}


def seen(text: str) -> Observation:
    return EXECUTOR.observe(SPEC, Record(0, (text + SAME).encode()))


def test_the_host_is_asked_for_the_process_and_the_files() -> None:
    script = EXECUTOR.ask(SPEC)
    assert "later files/audit '/etc/a b.yaml'\nlater files/keys /etc/k.yaml\n" in script
    assert "process " not in EXECUTOR.ask(ControlPlaneManifestSpec(config=CONFIG))


@pytest.mark.parametrize(
    ("text", "recorded", "digests", "stale"),
    [
        ("process boot 7 99\n", None, TAKEN, ()),
        ("process boot 7 99\nlater files/keys\n", None, TAKEN, ("files/keys",)),
        # the process that kubexms knows: what it was started with tells, not a touch of the file
        ("process p1\nlater files/keys\n", {"process": "p1", "digests": TAKEN}, TAKEN, ()),
        ("process p1\n", {"process": "p1", "digests": TAKEN}, TAKEN | {"files/audit": "2"}, ("files/audit",)),
        # somebody has restarted it since
        ("process p2\n", {"process": "p1", "digests": TAKEN}, TAKEN | {"files/audit": "2"}, ()),
        # it does not run: it will read them when it starts
        ("later files/keys\n", None, TAKEN, ()),
    ],
)
def test_what_it_has_not_read_yet(
    text: str, recorded: JsonValue, digests: dict[str, str], stale: tuple[str, ...]
) -> None:
    assert EXECUTOR.stale(SPEC, seen(text), recorded, digests) == stale


def test_what_is_remembered_is_what_it_started_with() -> None:
    kept = EXECUTOR.remember(SPEC, seen("process p1\n"), TAKEN | {"other": "3"})
    assert kept == {"process": "p1", "digests": TAKEN}
    assert EXECUTOR.remember(ControlPlaneManifestSpec(config=CONFIG), seen(""), {}) is None


def test_only_the_api_server_is_restarted() -> None:
    request = ChangeRequest(ActionKind.UPDATE, seen("process p1\n"), triggered_by=("files/keys",))
    script = EXECUTOR.action(SPEC, request).script
    assert "again kube-apiserver\n" in script
    assert "\ncomponent kube" not in script
    assert "\nchange_etcd\n" not in script
    assert EXECUTOR.disruption(SPEC, request) is Disruption.RESTART
    # its manifest differs, too: that starts it anew, once
    both = ChangeRequest(
        ActionKind.UPDATE, seen("process p1\n"), frozenset({"kube-apiserver"}), ("files/keys",)
    )
    script = EXECUTOR.action(SPEC, both).script
    assert "component kube-apiserver apiserver\n" in script
    assert "\nagain kube-apiserver\n" not in script
