"""Hosts that are known before the other documents are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.errors import ConfigError
from kubexms.spec.inventory import Host
from kubexms.spec.project import ProjectSpec
from tests.unit.config.projects import Commands, load, pipeline, write

HEAD = "apiVersion: kubexms.io/v1alpha1\n"
INVENTORY = (
    HEAD + "kind: Inventory\nmetadata: {name: lab}\nspec: {hosts: [{name: 'n[1-2]', roles: [node]}]}\n"
)
OTHER = HEAD + "kind: Inventory\nmetadata: {name: other}\nspec: {hosts: [{name: x1, roles: [node]}]}\n"
PROJECT = HEAD + (
    "kind: Project\nmetadata: {name: p}\nspec:\n  parallelism: 7\n"
    "  environments: {lab: {inventories: [lab]}, far: {inventories: [far.yaml]}}\n"
)
STEPS = pipeline("- {name: t, runOnRoles: [node], steps: [{name: s, kind: directory, path: /x}]}")
WRONG = pipeline("- {name: t, runOnRoles: [node], steps: [{name: s, kind: directory, path: /x, mod: '1'}]}")


class Told:
    """What was told, and when: nothing else has been said by then."""

    def __init__(self) -> None:
        self.names: list[list[str]] = []
        self.parallelism: list[int] = []

    def __call__(self, spec: ProjectSpec, hosts: tuple[Host, ...]) -> None:
        self.names.append([host.name for host in hosts])
        self.parallelism.append(spec.parallelism)


@pytest.mark.parametrize("name", ["a.yaml", "z.yaml"])
def test_hosts_are_told_though_a_pipeline_is_wrong(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"inventory.yaml": INVENTORY, name: WRONG})
    told = Told()
    with pytest.raises(ConfigError, match="unknown field 'mod'"):
        load(tmp_path, hosts_known=told)
    assert told.names == [["n1", "n2"]]


def test_the_environment_says_which(tmp_path: Path) -> None:
    far = OTHER.replace("other", "far")
    write(
        tmp_path, {"p.yaml": PROJECT, "i.yaml": INVENTORY, "o.yaml": OTHER, "far.yaml": far, "s.yaml": STEPS}
    )
    for environment, names in (("lab", ["n1", "n2"]), ("far", ["x1"])):
        told = Told()
        loaded = load(tmp_path, environment=environment, hosts_known=told)
        assert (told.names, told.parallelism) == ([names], [7])
        assert [host.name for host in loaded.inventory.hosts] == names


def test_files_that_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"i.yaml": INVENTORY, "o.yaml": OTHER, "s.yaml": STEPS})
    told = Told()
    load(tmp_path, files=[Path("s.yaml"), Path("i.yaml")], hosts_known=told)
    assert told.names == [["n1", "n2"]]


def test_a_command_runs_in_its_turn(tmp_path: Path) -> None:
    dynamic = HEAD + "kind: Inventory\nmetadata: {name: lab}\nspec: {from: {command: [list]}}\n"
    write(tmp_path, {"i.yaml": dynamic, "s.yaml": WRONG})
    told, commands = Told(), Commands({"list": b'{"node": {"hosts": ["n1"]}}'})
    with pytest.raises(ConfigError, match="unknown field 'mod'"):
        load(tmp_path, run_command=commands, hosts_known=told)
    assert commands.asked == []
    write(tmp_path, {"s.yaml": STEPS})
    loaded = load(tmp_path, run_command=commands, hosts_known=told)
    assert [host.name for host in loaded.inventory.hosts] == ["n1"]
    assert (told.names, len(commands.asked)) == ([], 1)


@pytest.mark.parametrize(
    ("inventory", "message"),
    [
        (INVENTORY.replace("roles", "role"), "unknown field 'role'"),
        (INVENTORY.replace("n[1-2]", "n[2-1]"), "range"),
        (INVENTORY + "---\n" + OTHER, "2 inventories"),
    ],
)
def test_nothing_is_told_of_hosts_that_are_wrong(tmp_path: Path, inventory: str, message: str) -> None:
    write(tmp_path, {"i.yaml": inventory, "s.yaml": STEPS})
    told = Told()
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, hosts_known=told)
    assert told.names == []
