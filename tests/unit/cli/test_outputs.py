"""Outputs of commands, from step to step and from host to host, in projects on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.local import LocalProject


def giver(place: Path, **more: Any) -> dict[str, Any]:
    """A command that makes a token, once, and prints it."""
    made = place / "made"
    run = f"echo secret-{{{{ host.name }}}} > {made}; cat {made}"
    return {
        "name": "give",
        "kind": "command",
        "run": run,
        "creates": str(made),
        "outputs": {"token": "stdout", "tail": "secret-(.*)"},
        **more,
    }


def taker(place: Path, text: str = "{{ outputs['m/t/give'].token }}", **more: Any) -> dict[str, Any]:
    """A file with what was given."""
    return {"name": "take", "kind": "file", "path": str(place / "taken"), "content": text, **more}


def test_outputs_are_known_after_apply_and_then_known(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    project.steps(giver(tmp_path), taker(tmp_path, "{{ outputs['m/t/give'].tail }}\n"))
    code, text = project.plan()
    assert code == 2, text
    assert "+ sha256 = (known after apply)" in text
    assert f'> command "echo secret-here > {tmp_path}/made; cat {tmp_path}/made" {{' in text
    project.apply()
    assert (tmp_path / "taken").read_text() == "here\n"
    assert project.plan()[0] == 0


def test_a_command_that_was_done_before_says_who_can_know(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    project.steps(giver(tmp_path), taker(tmp_path))
    (tmp_path / "made").write_text("secret-there\n")
    code, text = project.plan()
    assert code == 1
    assert "Error: m/t/take@here needs outputs.m/t/give.token, which nothing will give\n" in text
    assert "`outputsFrom`" in text
    project.steps(giver(tmp_path, outputsFrom=f"cat {tmp_path}/made"), taker(tmp_path))
    code, text = project.plan()
    assert (code, "secret-there" in text) == (2, True), text
    project.apply()
    assert (tmp_path / "taken").read_text() == "secret-there"
    assert project.plan()[0] == 0
    (tmp_path / "made").write_text("secret-else\n")
    code, text = project.plan()
    assert code == 2
    assert "# (input changed: outputs.m/t/give.token)" in text


def test_outputs_from_are_asked_after_the_command_has_run(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    project.steps(giver(tmp_path, outputsFrom=f"sed s/secret/shown/ {tmp_path}/made"), taker(tmp_path))
    project.apply()
    assert (tmp_path / "taken").read_text() == "shown-here"
    assert project.plan()[0] == 0


def test_another_hosts_outputs_go_by_its_address(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project", "n1", "n2")
    project.tasks(
        {"name": "t", "runOnHosts": ["n1"], "steps": [giver(tmp_path)]},
        {
            "name": "u",
            "runOnHosts": ["n2"],
            "dependsOn": [{"task": "t", "scope": "all"}],
            "steps": [taker(tmp_path, "{{ outputs['m/t/give@n1'].token }}")],
        },
    )
    code, told = project.plan()
    assert (code, "(known after apply)" in told) == (2, True), told
    project.apply("--limit", "n1")  # both are this machine, which one worker holds at a time
    project.apply("--limit", "n2")
    assert (tmp_path / "taken").read_text() == "secret-n1"
    assert project.plan()[0] == 0
    assert project.plan("--limit", "n2")[0] == 0
    text = (project.root / "pipeline.yaml").read_text()
    (project.root / "pipeline.yaml").write_text(text.replace("m/t/give@n1", "m/t/give"))
    code, told = project.plan()
    assert code == 1
    assert "m/t/give is no step of n2. Write outputs['m/t/give@n1'] for another host's." in told


def test_triggers_that_were_unknown_are_remembered_as_they_became_known(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    log = tmp_path / "log"
    again: dict[str, Any] = {
        "name": "again",
        "kind": "command",
        "run": f"echo ran >> {log}",
        "runs": "on-change",
    }
    again["triggers"] = ["{{ outputs['m/t/give'].token }}", "{{ vars.pw }}"]
    variables = {"pw": {"type": "string", "sensitive": True, "default": "hunter2"}}
    give = giver(tmp_path, run=f"date +secret-%N | tee {tmp_path}/made")
    project.steps(give, again, variables=variables)
    project.apply()
    assert project.plan()[0] == 0
    (tmp_path / "made").unlink()
    code, told = project.plan("--target", "m/t/again")
    assert (code, "(triggered by outputs.m/t/give.token)" in told) == (2, True), told
    assert "m/t/give@here will be run" in told
    assert "m/t/again@here needs outputs.m/t/give.token" in project.plan("--exclude", "m/t/give")[1]
    project.apply()
    assert log.read_text() == "ran\nran\n"
    assert project.plan()[0] == 0
    step = json.loads(project.run("state", "pull").stdout)["steps"]["m/t/again@here"]
    assert step["triggerDigest"].startswith("v1k:"), "a secret's digest is keyed"


def test_outputs_that_the_plan_leaves_out_are_not_waited_for(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project", "n1", "n2")
    others = "{{ outputs['m/t/give@n1'].token }}"
    project.tasks(
        {"name": "t", "runOnHosts": ["n1"], "steps": [giver(tmp_path)]},
        {"name": "u", "runOnHosts": ["n2"], "dependsOn": [], "steps": [taker(tmp_path, others)]},
    )
    needs = "Error: m/u/take@n2 needs outputs.m/t/give@n1.token, which is not known, and "
    code, told = project.plan("--limit", "n2")
    assert (code, needs + "--limit leaves out n1\n" in told) == (1, True), told
    code, told = project.plan("--exclude", "m/t")
    assert (code, needs + "--exclude leaves out m/t/give@n1\n" in told) == (1, True), told
    assert "--exclude 'm/u/take@n2'" in told
    assert project.plan("--exclude", "m/t", "--exclude", "m/u/take@n2")[0] == 0
    project.apply("--target", "m/t")
    assert project.plan("--limit", "n2")[0] == 2
    assert project.plan("--exclude", "m/t")[0] == 2


def test_of_several_outputs_each_is_waited_for(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project", "n1", "n2", "n3")
    every = "{% for h in ['n1', 'n2'] %}{{ outputs['m/t/give@' ~ h].token }}{% endfor %}"
    project.tasks(
        {"name": "t", "runOnHosts": ["n1", "n2"], "steps": [giver(tmp_path)]},
        {"name": "u", "runOnHosts": ["n3"], "dependsOn": [], "steps": [taker(tmp_path, every)]},
    )
    code, told = project.plan("--limit", "n1", "--limit", "n3")
    assert (code, "outputs.m/t/give@n2.token, which is not known, and --limit" in told) == (1, True), told
    code, told = project.plan("--target", "m/u")
    assert (code, "# m/t/give@n1 will be run" in told, "# m/t/give@n2 will be run" in told) == (2, True, True)


@pytest.mark.parametrize("wrong", ["outputs['m/t/giv'].token", "outputs['m/t/give'].tokn"])
def test_outputs_that_nobody_declares_are_undefined(tmp_path: Path, wrong: str) -> None:
    project = LocalProject(tmp_path / "project")
    project.steps(giver(tmp_path), taker(tmp_path, f"{{{{ {wrong} }}}}"))
    code, text = project.plan()
    assert code == 1
    assert "is undefined" in text


def test_sensitive_outputs_reach_who_needs_them_and_nothing_else(tmp_path: Path) -> None:
    project = LocalProject(tmp_path / "project")
    steps = (giver(tmp_path, sensitive=True), taker(tmp_path))
    project.steps(*steps)
    code, text = project.plan()
    assert code == 1
    assert "outputs of m/t/give are sensitive, so nothing keeps them" in text
    project.steps(giver(tmp_path, sensitive=True, outputsFrom=f"cat {tmp_path}/made"), taker(tmp_path))
    text = project.apply()
    assert (tmp_path / "taken").read_text() == "secret-here"
    code, again = project.plan()
    assert code == 0, again
    (tmp_path / "taken").write_text("changed\n")
    text += again + project.plan()[1] + project.apply() + project.run("state", "pull").stdout
    assert "secret-here" not in text
    kept = b"".join(path.read_bytes() for path in (project.root / "state").rglob("*") if path.is_file())
    assert b"secret-here" not in kept
