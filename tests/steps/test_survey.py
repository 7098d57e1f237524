"""What a host tells of its node, from what kubectl says of the API. Answers are those of Kubernetes 1.20."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from kubexms.step.kinds._kubeadm.survey import question
from tests.steps.sandbox import each_shell

NODE = {
    "kind": "Node",
    "metadata": {"name": "w1", "managedFields": [{"fieldsV1": {"f:nodeInfo": {"f:kubeletVersion": {}}}}]},
    "status": {
        "conditions": [{"reason": "ImageNotFound", "message": "signed by unknown authority"}],
        "nodeInfo": {"osImage": "", "kubeletVersion": "v1.20.2-0+x", "kubeProxyVersion": "v1.19.0"},
    },
}
AUTHORITY = "Unable to connect to the server: x509: certificate signed by unknown authority"


@each_shell()
@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        (json.dumps(NODE, separators=(",", ":")), 0, ["kubelet 1.20.2-0+x"]),
        ('Error from server (NotFound): nodes "w1" not found', 1, ["registered no"]),
        (AUTHORITY, 1, ["registered stranger"]),
        ("The connection to the server 10.0.0.1:6443 was refused", 1, []),
    ],
)
def test_what_the_api_says_of_a_node(
    shell: str, tmp_path: Path, said: str, status: int, told: list[str]
) -> None:
    (tmp_path / "kubernetes").mkdir()
    (tmp_path / "kubernetes" / "kubelet.conf").write_text("server: https://10.0.0.1:6443\n")
    (tmp_path / "said").write_text(said)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/asked\ncat {tmp_path}/said\nexit {status}\n')
    kubectl.chmod(0o755)
    script = question("w1").replace("/etc/kubernetes", str(tmp_path / "kubernetes"))
    argv = ["busybox", "sh"] if shell == "busybox" else [shell]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*argv, "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line.startswith(("registered", "kubelet "))] == told
    assert (tmp_path / "asked").read_text().endswith("get --raw /api/v1/nodes/w1\n")
