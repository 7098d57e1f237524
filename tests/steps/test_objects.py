"""What counts of the API's objects, as kubectl prints them, with every shell."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from kubexms.step.kinds._kubeadm.objects import SETTLED
from tests.steps.sandbox import SHELLS, applets


def listed(*items: Any) -> str:
    """As `kubectl get -o json` prints a list."""
    return json.dumps({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}}, indent=4) + "\n"


def settled(shell: str, text: str) -> Any:
    argv = [f"{applets()}/busybox", "sh"] if shell == "busybox" else [shell]
    env = {"PATH": applets() if shell == "busybox" else os.environ["PATH"], "LC_ALL": "C"}
    words = [*argv, "-c", SETTLED + "settled"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, env=env, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)["items"]


def pods(now: int, **moving: Any) -> dict[str, Any]:
    """A DaemonSet."""
    fields = [{"manager": "kubelet", "time": f"2026-11-25T16:00:{now:02}Z"}]
    return {
        "kind": "DaemonSet",
        "metadata": {
            "generation": now,
            "managedFields": fields,
            "name": "kube-proxy",
            "resourceVersion": f"{now}",
            "uid": "u",
        },
        "spec": {"template": {"metadata": {"annotations": {"kubexms.io/rollout": "n"}}}},
        "status": {"conditions": [{"type": "x"}], "currentNumberScheduled": 3, **moving, "numberReady": now},
    }


@pytest.mark.parametrize("shell", SHELLS)
class TestSettled:
    def test_what_moves_by_itself_is_left_out(self, shell: str) -> None:
        first, second = (settled(shell, listed(pods(now, updatedNumberScheduled=2))) for now in (1, 2))
        assert first == second
        (found,) = first
        assert found["status"] == {"currentNumberScheduled": 3, "updatedNumberScheduled": 2}
        assert found["metadata"] == {"name": "kube-proxy", "uid": "u"}
        assert found["spec"] == pods(1)["spec"]

    def test_texts_are_no_structure(self, shell: str) -> None:
        text = '            "status": {\n                "managedFields": [\n'
        one = {"data": {"config.conf": text}, "kind": "ConfigMap", "metadata": {"name": "a", "uid": "u"}}
        assert settled(shell, listed(one, {**one, "status": {}})) == [one, {**one, "status": {}}]

    def test_nothing_is_nothing(self, shell: str) -> None:
        assert settled(shell, listed()) == []
