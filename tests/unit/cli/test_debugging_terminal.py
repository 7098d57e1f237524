"""`apply --debug` on a terminal, with somebody who looks around."""

from __future__ import annotations

import os
from pathlib import Path

from tests.unit.cli.local import LocalProject, on_a_terminal

QUESTION = "[c]ontinue, [s]kip, [i]nspect, [r]un to the end, [q]uit? "


def project(tmp_path: Path) -> LocalProject:
    """Four files, in this order, and a hook before them."""
    made = LocalProject(tmp_path / "project")
    names = ("first", "second", "third", "fourth")
    files = [{"name": n, "kind": "file", "path": str(tmp_path / n), "content": "x"} for n in names]
    hooks = {"pre": [{"name": "before", "run": "true"}]}
    made.tasks({"name": "t", "steps": files, "hooks": hooks})
    return made


def test_each_step_and_its_host_are_shown(tmp_path: Path) -> None:
    command = project(tmp_path).command("apply", "--auto-approve", "--debug")
    look = f"i\nls -a {tmp_path}; echo to-stderr >&2; exit 3\ntouch {tmp_path}/written\n\n"
    code, shown = on_a_terminal(command, "i\nc\nc\n" + look + "c\ns\nq\n")
    assert code == 130, shown
    text = shown.replace("\r\n", "\n")
    assert f"{QUESTION}This runs where kubexms runs: look at it in another terminal.\n" in text
    assert "Now on here:\n  it is not there\n" in text
    assert "\nfirst\nproject\nto-stderr\n(exit status 3)\nhere$ " in text
    assert text.count(QUESTION) == 7
    there = [name for name in ("first", "second", "third", "fourth") if (tmp_path / name).exists()]
    assert there == ["first", "second"]
    guarded = "has no read-only guard" not in text
    assert (tmp_path / "written").exists() is not guarded
    assert guarded or os.getuid() != 0


def test_somebody_is_needed(tmp_path: Path) -> None:
    done = project(tmp_path).run("apply", "--debug", "--auto-approve")
    assert done.returncode == 1
    assert "nobody can be asked" in done.stderr
