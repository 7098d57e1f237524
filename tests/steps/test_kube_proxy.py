"""kube-proxy's way to another configuration while a node is down: real shell, a stand-in for the API."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubexms.step.kinds._kubeadm.proxy import ROLLED, behind

API = r"""
set -e
sleep() { :; }
# as a DaemonSet does it: a pod that is gone is there again, and new
admin() {
  case "$*" in
  *'rollout status'*) echo 'Waiting for daemon set "kube-proxy" rollout to finish: 1 out of 4'; return 1 ;;
  *'get nodes'*) cat nodes ;;
  *'get controllerrevisions'*) printf '2 old\n10 new\n9 older\n' ;;
  *waiting.reason*) cat reasons ;;
  *'get pods'*wide*) echo 'kube-proxy-cp1 0/1' ;;
  *'get pods'*) cat pods; sed -i 's/new False/new True/' pods ;;
  *'delete pod'*)
    echo "$*" | sed 's/.* delete pod \([^ ]*\).*/\1/' >>deleted
    sed -i "s/\(.* $(tail -n 1 deleted)\) old .*/\1 new False\//" pods ;;
  *) echo "what? $*" >&2; return 1 ;;
  esac
}
"""


def run(directory: Path, shell: str, nodes: str, pods: str, reasons: str = "") -> tuple[int, str, list[str]]:
    """Exit status, what was said, and which pods were taken away, in order."""
    for name, text in (("nodes", nodes), ("pods", pods), ("reasons", reasons), ("deleted", "")):
        (directory / name).write_text(text)
    done = subprocess.run(
        [shell, "-c", f"{API}{ROLLED}rolled 600"], cwd=directory, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr, (directory / "deleted").read_text().split()


NODES = "cp1 True\nw1 True\nw2 Unknown\nw3 True\n"
PODS = "cp1 p-cp1 old True/\nw1 p-w1 new True/\nw2 p-w2 old False/\nw3 p-w3 old True/\n"


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_node_that_is_down_holds_up_nobody(tmp_path: Path, shell: str) -> None:
    status, said, deleted = run(tmp_path, shell, NODES, PODS)
    assert status == 0, said
    assert sorted(deleted) == ["p-cp1", "p-w3"]
    assert "kube-proxy is started anew when the node is ready: w2\n" in said
    assert "w2 p-w2 old False/" in (tmp_path / "pods").read_text()


def test_one_at_a_time(tmp_path: Path) -> None:
    """What is being replaced is waited for: the DaemonSet's own pod on w1, then each other."""
    pods = PODS.replace("w1 p-w1 new True/", "w1 p-w1 new False/")
    status, said, deleted = run(tmp_path, "dash", NODES, pods)
    assert status == 0, said
    assert sorted(deleted) == ["p-cp1", "p-w3"]


def test_a_node_that_has_left_is_waited_for_no_longer(tmp_path: Path) -> None:
    status, said, deleted = run(tmp_path, "dash", "cp1 True\nw2 Unknown\n", PODS)
    assert status == 0, said
    assert deleted == ["p-cp1"]


def test_one_that_fails_is_told(tmp_path: Path) -> None:
    status, said, deleted = run(tmp_path, "dash", NODES, PODS, reasons="CrashLoopBackOff\n")
    assert status == 1
    assert deleted == []
    assert "kube-proxy is not restarted everywhere: Waiting for daemon set" in said


def test_a_plan_says_that_nodes_are_behind() -> None:
    status = {"currentNumberScheduled": 3, "updatedNumberScheduled": 2}
    assert "earlier configuration on 1 of 3 nodes" in behind({"status": status})
    assert behind({"status": status | {"updatedNumberScheduled": 3}}) == ""
    assert behind({"status": {}}) == ""
    assert behind(None) == ""
