"""Steps that share an exchange, on this machine: each is guarded, recorded and blamed as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kubexms.executor.debug import Choice, Prompter
from kubexms.executor.looking import Look
from kubexms.plan.model import Change
from kubexms.step.contract import ActionKind
from kubexms.step.kinds.file import FileExecutor, FileSpec
from kubexms.step.observation import Presence
from tests.unit.services.here import DIGEST, IMAGE, Here


class RunToEnd:
    """A user at the debugger who lets everything run."""

    def ask(self, change: Change) -> Choice:
        return Choice.CONTINUE

    def inspect(self, change: Change, look: Look) -> None:
        raise AssertionError("nobody asked to look")


PROMPTERS: Sequence[Prompter | None] = (None, RunToEnd())


@pytest.mark.parametrize("prompter", PROMPTERS, ids=["concurrent", "debug"])
def test_applied_together_and_back(here: Here, prompter: Prompter | None) -> None:
    (here.files / "b").write_text("before\n")
    here.steps(*(here.file(name, mode="0640") for name in "abcd"))
    ran = here.apply(prompter=prompter)
    assert ran.statuses == ["ok"] * 4
    assert ran.together is (prompter is None)
    assert here.texts() == dict.fromkeys("abcd", "new\n")
    assert {path.stat().st_mode & 0o777 for path in here.files.iterdir()} == {0o640}
    priors = [entry.prior.presence for entry in ran.state.steps.values() if entry.prior]
    assert priors == [Presence.ABSENT, Presence.PRESENT, Presence.ABSENT, Presence.ABSENT]
    assert all(entry.touched for entry in ran.state.steps.values())
    assert ran.state.intents == {}
    assert here.is_right()
    here.apply(destroy=True)
    assert here.texts() == {"b": "before\n"}
    assert not list((here.host / "steps").iterdir())
    assert not list((here.host / "objects").iterdir())


@pytest.mark.parametrize("prompter", PROMPTERS, ids=["concurrent", "debug"])
def test_the_one_that_fails_is_named_and_what_follows_is_not_done(
    here: Here, prompter: Prompter | None
) -> None:
    here.steps(*(here.file(name) for name in ("a", "b", "nowhere/c", "x", "y")))
    ran = here.apply(prompter=prompter)
    assert ran.statuses == ["ok", "ok", "failed", "skipped", "skipped"]
    failed = ran.results["m/t/nowhere-c@here"]
    assert "nowhere is not a directory" in failed.message
    assert failed.exit_status == 1
    assert here.texts() == {"a": "new\n", "b": "new\n"}
    assert [entry.tainted for entry in ran.state.steps.values()] == [False, False, True]
    assert ran.state.intents == {}
    assert not list(here.files.glob(".kubexms*"))
    (here.files / "nowhere").mkdir()
    assert here.apply().statuses == ["ok"] * 3
    assert here.is_right()


def test_lines_of_one_file(here: Here) -> None:
    path = here.files / "a"
    path.write_text("first")
    line = {"kind": "line", "path": str(path)}
    lines: list[dict[str, object]] = [{**line, "name": f"l{n}", "line": f"line {n}"} for n in range(4)]
    lines[2]["path"] = str(here.files / "nowhere")
    here.steps(*lines)
    ran = here.apply()
    assert ran.statuses == ["ok", "ok", "failed", "skipped"]
    assert "'create: true' makes it" in ran.results["m/t/l2@here"].message
    assert ran.results["m/t/l0@here"].changed
    assert ran.together
    assert path.read_text() == "first\nline 0\nline 1\n"
    lines[2]["create"] = True
    here.steps(*lines)
    assert here.apply().statuses == ["ok"] * 2
    assert here.is_right()
    here.apply(destroy=True)
    assert here.texts() == {"a": "first"}


def test_an_ignored_failure_lets_the_others_go_on(here: Here) -> None:
    here.steps(here.file("a"), here.file("nowhere/b", ignoreErrors=True), here.file("c"))
    assert here.apply().statuses == ["ok", "ok", "ignored"]
    assert here.texts() == {"a": "new\n", "c": "new\n"}


def test_retries_are_those_of_the_one_that_fails(here: Here) -> None:
    retries = {"attempts": 3, "delay": 0}
    here.steps(here.file("a"), here.file("nowhere/b", retries=retries), here.file("c"))
    ran = here.apply()
    assert {name: result.attempts for name, result in ran.results.items() if result.attempts > 1} == {
        "m/t/nowhere-b@here": 3
    }


def test_what_is_another_projects_fails_alone(here: Here) -> None:
    here.steps(*(here.file(name) for name in "abcd"))
    executor = FileExecutor()
    claim = here.host / "objects" / executor.object_id(FileSpec(path=str(here.files / "c")))

    def taken() -> None:
        claim.parent.mkdir(parents=True)
        claim.write_text("another-lineage\n")

    ran = here.apply(meanwhile=taken)
    assert ran.statuses == ["ok", "ok", "failed", "skipped"]
    assert "another project manages this object" in ran.results["m/t/c@here"].message
    assert here.texts() == {"a": "new\n", "b": "new\n"}


def test_what_changed_since_the_plan_is_left_alone(here: Here) -> None:
    here.steps(*(here.file(name) for name in "abc"))
    ran = here.apply(meanwhile=lambda: (here.files / "a").write_text("somebody else's\n"))
    assert ran.statuses == ["failed", "skipped", "skipped"]
    assert "the host changed between the observation and the action" in ran.results["m/t/a@here"].message
    assert here.texts() == {"a": "somebody else's\n"}
    assert ran.state.intents == {}


def test_what_somebody_else_has_done_meanwhile_is_not_done_again(here: Here) -> None:
    here.steps(*(here.file(name) for name in "abc"))
    ran = here.apply(meanwhile=lambda: (here.files / "c").write_text("new\n"))
    changed = {name: result.changed for name, result in ran.results.items()}
    assert changed == {"m/t/a@here": True, "m/t/b@here": True, "m/t/c@here": False}
    assert not ran.state.steps["m/t/c@here"].touched


def test_steps_that_cannot_share_do_not(here: Here) -> None:
    here.steps(
        here.file("a"),
        here.file("b", timeout=60),
        here.file("c", validate="test -s %s"),
        {"name": "d", "kind": "file", "path": str(here.files / "d"), "state": "absent"},
        here.file("e"),
    )
    (here.files / "d").write_text("x")
    ran = here.apply()
    assert ran.statuses == ["ok"] * 5
    assert not ran.together
    assert ran.results["m/t/d@here"].action == ActionKind.DELETE


def test_steps_that_are_about_other_files_now_do_not_share(here: Here) -> None:
    steps = [here.file(name) for name in "ab"]
    here.steps(*steps)
    assert here.apply().together
    here.steps(*({**step, "path": f"{step['path']}-moved"} for step in steps))
    assert here.apply().statuses == ["ok", "ok"]
    assert here.texts() == {"a-moved": "new\n", "b-moved": "new\n"}
    assert here.is_right()


def test_directories_and_what_is_in_them(here: Here) -> None:
    names = ("x", "x/y", "x/y/z", "w/v")
    here.steps(
        *(
            {"name": f"d{n}", "kind": "directory", "path": str(here.files / name), "mode": "0750"}
            for n, name in enumerate(names)
        )
    )
    ran = here.apply()
    assert (ran.statuses, ran.together) == (["ok"] * 4, True)
    assert {(here.files / name).stat().st_mode & 0o777 for name in names} == {0o750}
    assert (here.files / "w").stat().st_mode & 0o777 == 0o755
    assert here.is_right()
    here.apply(destroy=True)
    assert not list(here.files.iterdir())


@pytest.mark.parametrize("there", [False, True], ids=["is brought about", "is found done"])
def test_what_could_not_be_seen_by_the_plan_may_be_seen_by_the_apply(
    here: Here, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containerd answers again when it comes to the step: nothing has changed that anybody had seen."""
    programs, up = here.containerd(f"{IMAGE} t {DIGEST} complete\\n" if there else "")
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    ran = here.apply(meanwhile=up.touch)
    [result] = ran.results.values()
    assert (result.status.value, result.changed) == ("ok", not there), result.message
    assert here.is_right()


def test_what_became_right_by_itself_before_anything_was_done_is_right(here: Here) -> None:
    here.steps(here.file("a"))
    ran = here.apply(meanwhile=lambda: (here.files / "a").write_text("new\n"))
    assert ran.statuses == ["ok"]
    assert not ran.results["m/t/a@here"].changed
    assert not ran.state.steps["m/t/a@here"].touched
