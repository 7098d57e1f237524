"""`kubeconfig` with a controller's file: what counts as the same, and how it is written."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import cast

import yaml

from kubexms.runtime.fake import ScriptedConnection
from kubexms.runtime.protocol import Action, Connection, Outcome, Record
from kubexms.step.contract import ActionKind, ChangeRequest, PeerContext
from kubexms.step.kinds import kubeconfig
from kubexms.step.kinds.kubeconfig import KubeconfigExecutor, KubeconfigSpec
from kubexms.step.observation import Observation, Presence
from tests.steps.context import SandboxContext

CONF = """\
apiVersion: v1
clusters:
- cluster:
    server: https://k8s.test:6443
users: [{user: {client-key: s3cret}}]"""
KIND = KubeconfigExecutor()


def told(tmp_path: Path, text: str = CONF) -> Record:
    """What the real question says of a host with this admin.conf."""
    (tmp_path / "admin.conf").write_text(text + "\n")
    script = kubeconfig._ASK.replace(kubeconfig.ADMIN_CONF, str(tmp_path / "admin.conf"))
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert b"s3cret" not in done.stdout
    return Record(0, done.stdout.rstrip(b"\n"))


class Host(SandboxContext):
    """A host that shows its admin.conf, and records what is exchanged with it."""

    def __init__(self) -> None:
        self.acted: list[Action] = []
        self.scripted = ScriptedConnection("cp1", lambda fragment: (Record(0, CONF.encode()),))

    @property
    def connection(self) -> Connection:
        return cast(Connection, self.scripted)

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        self.acted.append(action)
        return Outcome((), True, 0, b"", b"", (), 0.0)

    def peer(self, host: str) -> PeerContext:
        raise NotImplementedError


def run(spec: KubeconfigSpec) -> Host:
    host = Host()
    outcome = KIND.run(host, spec, ChangeRequest(ActionKind.CREATE, Observation.absent()))
    assert outcome.stdout == b"", "what a host says is recorded"
    return host


def test_it_is_fetched_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    spec = KubeconfigSpec(path=str(path))
    assert KIND.observe(spec, told(tmp_path)).presence is Presence.ABSENT
    run(spec)
    assert path.read_text() == CONF + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert KIND.observe(spec, told(tmp_path)).attributes == KIND.desired(spec)
    assert [item.name for item in path.parent.iterdir()] == ["config"]
    path.chmod(0o644)
    assert KIND.observe(spec, told(tmp_path)).attributes["mode"] == "0644"
    renewed = told(tmp_path, CONF.replace("s3cret", "renewed"))
    assert KIND.observe(spec, renewed).attributes["content"] == "differs"


def test_what_the_file_names_by_paths_is_in_the_fetched_one(tmp_path: Path) -> None:
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (tmp_path / name).write_text(f"{name}\n" * 40)
    text = (
        f"clusters:\n- cluster:\n    certificate-authority: {tmp_path}/ca.crt\n    server: https://k8s.test:6443\n"
        f"users:\n- user:\n    client-certificate: {tmp_path}/admin.crt\n    client-key: {tmp_path}/admin.key"
    )
    before = told(tmp_path, text)
    script = kubeconfig._SHOWN.replace(kubeconfig.ADMIN_CONF, str(tmp_path / "admin.conf")) + "shown\n"
    shown = subprocess.run(["sh", "-c", script], capture_output=True, check=True, text=True).stdout
    [cluster], [user] = (yaml.safe_load(shown)[key] for key in ("clusters", "users"))
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"ca.crt\n" * 40
    assert base64.b64decode(user["user"]["client-key-data"]) == b"admin.key\n" * 40
    assert str(tmp_path) not in shown
    # a renewed certificate is another content, though the host's file is the same
    (tmp_path / "admin.crt").write_text("renewed\n")
    assert told(tmp_path, text) != before


def test_another_way_to_the_api(tmp_path: Path) -> None:
    path = tmp_path / "config"
    spec = KubeconfigSpec(path=str(path), server="https://10.0.0.1:7443")
    run(spec)
    assert "server: https://10.0.0.1:7443\n" in path.read_text()
    assert KIND.observe(spec, told(tmp_path)).attributes["content"] == "as on the host"
    other = KubeconfigSpec(path=str(path))
    assert KIND.observe(other, told(tmp_path)).attributes["content"] == "differs"


def test_it_is_taken_away_again(tmp_path: Path) -> None:
    path = tmp_path / "config"
    spec = KubeconfigSpec(path=str(path))
    host = run(spec)
    KIND.run_undo(host, spec, Observation.absent())
    assert not path.exists()
