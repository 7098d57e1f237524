"""What a host reads out of the API's list of nodes, with every awk that hosts have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubexms.runtime.protocol import Fragment
from kubexms.step.kinds._kubeadm.nodelist import NODES
from tests.steps.sandbox import Sandbox, each_shell


def node(name: str, part: str | None, *addresses: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A node as the API has it, with what looks like something else in it."""
    return {
        "metadata": {
            "name": name,
            "labels": {"name": "label", "podCIDR": "label"},
            "annotations": {'"metadata":{"name":"x"': '\\{"a":[1,"\\\\"]}\\', "b\\": "", **more},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"name": "field"}}}],
        },
        "spec": {"podCIDRs": [part]} | ({"podCIDR": part} if part else {}),
        "status": {
            "conditions": [{"type": "InternalIP", "address": "no"}],
            "addresses": [{"address": address, "type": kind} for kind, address in addresses],
            "images": [{"names": ["a@b", "{"], "sizeBytes": 17}],
            "nodeInfo": {"kubeletVersion": "v1.20.2"},
        },
    }


CP1 = node(
    "cp1", "10.244.0.0/24", ("InternalIP", "192.0.2.1"), ("Hostname", "cp1"), ("InternalIP", "fd00::1")
)
W1 = node("w1", None, ("Hostname", "w1"), ("ExternalIP", "198.51.100.1"))


@each_shell()
class TestNodes:
    @pytest.mark.parametrize("indent", [None, 4])
    def test_name_part_and_addresses(self, shell: str, tmp_path: Path, indent: int | None) -> None:
        listed = {"kind": "NodeList", "metadata": {"name": "list"}, "items": [CP1, W1]}
        record = self.ask(shell, tmp_path, "cat", json.dumps(listed, indent=indent))
        assert record == (0, "cp1|10.244.0.0/24|192.0.2.1 fd00::1\nw1||")

    def test_there_are_none(self, shell: str, tmp_path: Path) -> None:
        assert self.ask(shell, tmp_path, "cat", '{"kind":"NodeList","items":null}\n') == (0, "")

    def test_what_kubectl_says_when_it_fails(self, shell: str, tmp_path: Path) -> None:
        assert self.ask(shell, tmp_path, "cat >&2; false", "Unable to connect") == (1, "Unable to connect")

    def test_a_list_that_is_cut_off_is_none(self, shell: str, tmp_path: Path) -> None:
        text = json.dumps({"kind": "NodeList", "items": [CP1, W1]})
        status, told = self.ask(shell, tmp_path, "cat", text[: text.index("images") + 20])
        assert status == 1
        assert told.endswith("the list of nodes is cut off")

    def ask(self, shell: str, root: Path, does: str, text: str) -> tuple[int, str]:
        """Status and output, where kubectl does that with this text."""
        (root / "answer").write_text(text)
        kubectl = f'kubectl() {{ [ "$8" = /api/v1/nodes ] || return 9; {{ {does}; }} <{root}/answer; }}\n'
        script = f'{kubectl}{NODES}a=$(nodes) && r=0 || r=$?\nemit "$r" "$a"\n'
        record = Sandbox(shell, root).ask(Fragment(script))[0]
        return record.status, record.text.decode()
