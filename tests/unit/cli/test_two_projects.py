"""Two projects, one host: who owns what, and when that ends."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.local import LocalProject

REFUSED = "manages an object that another project manages"


@pytest.fixture
def projects(tmp_path: Path) -> tuple[LocalProject, LocalProject]:
    """Two of them on this machine."""
    return LocalProject(tmp_path / "one"), LocalProject(tmp_path / "two")


def made(tmp_path: Path, name: str = "make") -> Mapping[str, Any]:
    """Something that cannot be undone: removing the step forgets it."""
    return {"name": name, "kind": "command", "run": f"touch {tmp_path}/it", "creates": f"{tmp_path}/it"}


def other(tmp_path: Path) -> Mapping[str, Any]:
    """Another step, so that a task is not empty."""
    return {"name": "other", "kind": "file", "path": f"{tmp_path}/other", "content": "x"}


def test_what_is_forgotten_is_free(tmp_path: Path, projects: tuple[LocalProject, LocalProject]) -> None:
    one, two = projects
    one.steps(made(tmp_path), other(tmp_path))
    one.apply()
    two.steps(made(tmp_path))
    (tmp_path / "it").unlink()
    code, text = two.plan()
    assert (code, REFUSED in text) == (1, True), text
    one.steps(other(tmp_path))
    assert "1 step to forget" in one.plan()[1]
    one.apply()
    assert two.plan()[0] == 2
    two.apply()


def test_what_is_renamed_is_not(tmp_path: Path, projects: tuple[LocalProject, LocalProject]) -> None:
    one, two = projects
    one.steps(made(tmp_path))
    one.apply()
    one.steps(made(tmp_path, "renamed"))
    one.apply()
    (tmp_path / "it").unlink()
    two.steps(made(tmp_path))
    assert REFUSED in two.plan()[1]


def test_state_rm_leaves_the_claim_and_the_refusal_tells_where(
    tmp_path: Path, projects: tuple[LocalProject, LocalProject]
) -> None:
    one, two = projects
    one.steps(made(tmp_path))
    one.apply()
    assert one.run("state", "rm", "m").returncode == 0
    (tmp_path / "it").unlink()
    two.steps(made(tmp_path))
    code, text = two.plan()
    assert (code, REFUSED in text) == (1, True), text
    name = text.partition("/var/lib/kubexms/objects/")[2].partition(" ")[0]
    (Path(os.environ["KUBEXMS_HOST_STATE"]) / "objects" / name).unlink()
    assert two.plan()[0] == 2


def test_state_rm_with_release_ends_the_claim(
    tmp_path: Path, projects: tuple[LocalProject, LocalProject]
) -> None:
    one, two = projects
    one.steps(made(tmp_path), {**other(tmp_path)}, {**other(tmp_path), "name": "again"})
    one.apply()
    done = one.run("state", "rm", "--release", "m/t/make", "m/t/other")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Released m/t/make@here\nReleased m/t/other@here\n"
    (tmp_path / "it").unlink()
    two.steps(made(tmp_path))
    assert two.plan()[0] == 2
    # what another entry still manages stays claimed
    two.steps({**other(tmp_path), "content": "y"})
    assert REFUSED in two.plan()[1]


def test_a_host_that_cannot_be_told_keeps_what_is_recorded(
    tmp_path: Path, projects: tuple[LocalProject, LocalProject]
) -> None:
    one, _ = projects
    one.steps(made(tmp_path))
    one.apply()
    pulled = json.loads(one.run("state", "pull").stdout)
    gone = {"type": "ssh", "address": "127.0.0.1", "port": 1, "sshConfig": "/dev/null"}
    pulled["hosts"]["here"]["connection"] = gone
    (tmp_path / "pushed").write_text(json.dumps(pulled))
    assert one.run("state", "push", "--force", str(tmp_path / "pushed")).returncode == 0
    done = one.run("state", "rm", "--release", "m")
    assert done.returncode == 1
    assert "here: 127.0.0.1 port 1: connection refused" in done.stderr
    assert one.run("state", "list").stdout == "m/t/make@here\n"


@pytest.mark.parametrize(
    "step",
    [
        {"name": "s", "kind": "command", "run": "true", "runs": "always"},
        {"name": "s", "kind": "wait", "command": "test -e {place}/there", "limit": 20, "interval": 0.1},
    ],
    ids=["command", "wait"],
)
def test_what_is_no_object_is_free_for_all(
    tmp_path: Path, projects: tuple[LocalProject, LocalProject], step: Mapping[str, Any]
) -> None:
    made = {
        name: value.format(place=tmp_path) if name == "command" else value for name, value in step.items()
    }
    for project in projects:
        (tmp_path / "there").unlink(missing_ok=True)
        project.steps(made)
        assert project.plan()[0] == 2
        (tmp_path / "there").touch()
        project.apply()


def begun(project: LocalProject) -> subprocess.Popen[str]:
    """An apply, with nobody at its standard input."""
    return subprocess.Popen(
        project.command("apply", "--auto-approve"),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def test_who_waits_for_another_run_on_a_host_says_for_whom(
    tmp_path: Path, projects: tuple[LocalProject, LocalProject]
) -> None:
    one, two = projects
    here, go = tmp_path / "here", tmp_path / "go"
    for pipe in (here, go):
        os.mkfifo(pipe)
    one.steps({"name": "long", "kind": "command", "run": f"echo >{here}; cat {go}", "runs": "always"})
    two.steps(other(tmp_path))
    with begun(one) as first:
        here.read_text()
        with begun(two) as second:
            assert first.stdout is not None
            assert second.stdout is not None
            said = next(line for line in second.stdout if line.startswith("Waiting for "))
            go.write_text("on\n")
            rest = second.stdout.read()
        first.stdout.read()
    assert "is changing this host, since 2" in said
    assert "Apply complete!" in rest
