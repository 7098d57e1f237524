"""Lines of one file by several steps: done in one go as if they had been done one by one."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kubexms.step.contract import ActionKind
from kubexms.step.kinds.line import LineExecutor, LineSpec
from kubexms.step.observation import Observation, Presence
from tests.steps.sandbox import Sandbox, Subject, each_shell

TEXT = "# comment\na=1\n\nb=2\n#a=9"
"""Without a newline at its end."""

Fields = Mapping[str, object]
APPENDED: tuple[Fields, ...] = ({"line": "c=3"}, {"line": "it's $x `y` \\1"}, {"line": "e"})
MIXED: tuple[Fields, ...] = (
    {"line": "a=2", "regexp": "^#?a="},
    {"line": "top", "insert_before": "BOF"},
    {"line": "middle", "insert_after": "^a"},
    {"line": "after middle", "insert_after": "^middle$"},
    {"line": "b=3", "regexp": "^b="},
    {"line": "end", "insert_before": "^nothing"},
    {"line": "b=4", "regexp": "^b=[34]"},
)


def specs_in(directory: Path, fields: tuple[Fields, ...]) -> list[LineSpec]:
    path = str(directory / "it's a file")
    return [LineSpec.model_validate({"path": path, "create": True, **item}) for item in fields]


def placed(shell: str, directory: Path, text: str | None) -> Subject:
    directory.mkdir()
    if text is not None:
        (directory / "it's a file").write_text(text)
        (directory / "it's a file").chmod(0o604)
    return Subject(LineExecutor(), Sandbox(shell, directory))


def kept(directory: Path) -> dict[str, bytes]:
    """What the steps keep for their undoing, and the file itself."""
    found = {path for path in directory.rglob("*") if path.is_file() and path.name != ".kubexms-program"}
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def undone(host: Subject, specs: list[LineSpec], priors: list[Observation], order: tuple[int, ...]) -> None:
    for number in order:
        host.member(number).undo(specs[number], priors[number])


def one_by_one(host: Subject, specs: list[LineSpec]) -> list[Observation]:
    """Does those that have something to do."""
    priors = []
    for number, spec in enumerate(specs):
        before = host.request(spec)
        priors.append(before.before)
        action = host.executor.action(spec, before)
        assert host.member(number).sandbox.act(action).status == 0
    return priors


def in_one_go(host: Subject, specs: list[LineSpec]) -> list[Observation]:
    priors = [host.observe(spec) for spec in specs]
    outcome = host.member(0).sandbox.act(host.merged(specs))
    assert (outcome.status, outcome.stderr) == (0, b"")
    return priors


@each_shell()
@pytest.mark.parametrize("text", [None, "", TEXT, TEXT + "\n"])
@pytest.mark.parametrize("fields", [APPENDED, MIXED], ids=["appended", "mixed"])
def test_as_if_one_by_one(shell: str, tmp_path: Path, text: str | None, fields: tuple[Fields, ...]) -> None:
    alone, together = placed(shell, tmp_path / "alone", text), placed(shell, tmp_path / "together", text)
    one_by_one(alone, specs_in(tmp_path / "alone", fields))
    in_one_go(together, specs_in(tmp_path / "together", fields))
    found = kept(tmp_path / "together")
    assert found == kept(tmp_path / "alone")
    assert "store0/original" in found or "store0/nothing" in found
    if text is not None:
        assert (tmp_path / "together" / "it's a file").stat().st_mode & 0o7777 == 0o604
    together.leftovers()


@each_shell()
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_each_can_be_taken_back_alone(shell: str, tmp_path: Path, order: tuple[int, ...]) -> None:
    for text in (None, TEXT):
        host = placed(shell, tmp_path / "here", text)
        specs = specs_in(tmp_path / "here", APPENDED)
        undone(host, specs, in_one_go(host, specs), order)
        path = tmp_path / "here" / "it's a file"
        left = path.read_text() if path.exists() else None
        assert left in (text, "" if text is None else f"{text}\n")
        if order == (2, 1, 0):
            assert left == text
        shutil.rmtree(tmp_path / "here")


@each_shell()
def test_files_in_turn_and_links(shell: str, tmp_path: Path) -> None:
    host = placed(shell, tmp_path / "here", TEXT)
    link = tmp_path / "here" / "link"
    link.symlink_to("it's a file")
    first, second = specs_in(tmp_path / "here", ({"line": "x"}, {"line": "y"}))
    other = LineSpec(path=str(tmp_path / "here" / "other"), line="z", create=True)
    specs = [first, other, LineSpec(path=str(link), line="w"), second]
    priors = in_one_go(host, specs)
    assert [host.request(spec).action for spec in specs] == [ActionKind.NO_OP] * 4
    assert link.is_symlink()
    assert link.read_text() == f"{TEXT}\nx\nw\ny\n"
    undone(host, specs, priors, (3, 2, 1, 0))
    assert link.read_text() == TEXT
    assert not (tmp_path / "here" / "other").exists()


@each_shell()
def test_what_fails_changes_nothing(shell: str, tmp_path: Path) -> None:
    host = placed(shell, tmp_path / "here", TEXT)
    specs = specs_in(tmp_path / "here", APPENDED)
    action = host.merged(specs)
    broken = replace(action, payloads={k: v for k, v in action.payloads.items() if k != "line2"})
    outcome = host.member(0).sandbox.act(
        replace(broken, script="set -o pipefail 2>/dev/null\n" + action.script)
    )
    assert outcome.status != 0
    assert kept(tmp_path / "here") == {"it's a file": TEXT.encode()}
    host.leftovers()
    missing = [spec.model_copy(update={"path": "/nowhere/x"}) for spec in specs]
    outcome = host.member(0).sandbox.act(host.merged(missing))
    assert b"/nowhere is not a directory" in outcome.stderr
    priors = in_one_go(host, specs)
    assert [prior.presence for prior in priors] == [Presence.ABSENT] * 3


@each_shell()
@pytest.mark.parametrize(
    "moment", ["        commit\n", '        mv -f "$o.new" "$o"\n', '        cat "$src" >"$t"\n', "close\n"]
)
def test_a_killed_run_has_changed_nothing(shell: str, tmp_path: Path, moment: str) -> None:
    host = placed(shell, tmp_path / "here", TEXT)
    specs = specs_in(tmp_path / "here", APPENDED)
    action = host.merged(specs)
    head, found, tail = action.script.rpartition(moment)
    assert found
    outcome = host.member(0).sandbox.act(replace(action, script=f"{head}kill -KILL $$\n{found}{tail}"))
    assert outcome.status == -9
    assert (tmp_path / "here" / "it's a file").read_text() == TEXT
    priors = one_by_one(host, specs)
    undone(host, specs, priors, (2, 1, 0))
    assert (tmp_path / "here" / "it's a file").read_text() == TEXT
    host.leftovers()


def test_lines_that_go_are_done_alone() -> None:
    assert LineExecutor().shares(LineSpec(path="/x", line="a", state="absent")) is None
