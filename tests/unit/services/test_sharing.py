"""Steps that share an exchange, on this machine: each is guarded, recorded and blamed as if it were alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubexms.executor.debug import Choice, Prompter
from kubexms.executor.events import Event, StepFinished, StepResult, StepStarted
from kubexms.executor.looking import Look
from kubexms.executor.stop import StopSignal
from kubexms.plan.model import Change, Plan, PlanOptions
from kubexms.services.applying import ApplyOptions, apply
from kubexms.services.planning import plan
from kubexms.services.project import Project, Settings, open_project
from kubexms.state.model import StateSnapshot
from kubexms.step.contract import ActionKind
from kubexms.step.kinds.file import FileExecutor, FileSpec
from kubexms.step.observation import Presence


class RunToEnd:
    """A user at the debugger who lets everything run."""

    def ask(self, change: Change) -> Choice:
        return Choice.CONTINUE

    def inspect(self, change: Change, look: Look) -> None:
        raise AssertionError("nobody asked to look")


@dataclass
class Ran:
    results: dict[str, StepResult]
    together: bool
    """Whether all had begun before the first ended."""
    state: StateSnapshot

    @property
    def statuses(self) -> list[str]:
        """In the order of the steps' names."""
        return [result.status.value for result in self.results.values()]


class Here:
    """A project on this machine, whose files and state are in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"
        self.files.mkdir()
        self.host = root / "host"

    def steps(self, *steps: Mapping[str, object]) -> None:
        """Write the documents."""
        spec = {"modules": [{"name": "m", "tasks": [{"name": "t", "steps": list(steps)}]}]}
        local = {"hosts": [{"name": "here", "connection": {"type": "local"}}]}
        for kind, content in (("Pipeline", spec), ("Inventory", local)):
            document = {"apiVersion": "kubexms.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}}
            (self.root / f"{kind}.json").write_text(json.dumps({**document, "spec": content}))

    def file(self, name: str, text: str = "new\n", **more: object) -> dict[str, object]:
        """A step that writes a file; `name` may lead into a directory."""
        path = str(self.files / name)
        return {"name": name.replace("/", "-"), "kind": "file", "path": path, "content": text, **more}

    def texts(self) -> dict[str, str]:
        """What is there."""
        return {path.name: path.read_text() for path in sorted(self.files.rglob("*")) if path.is_file()}

    @contextmanager
    def opened(self) -> Iterator[Project]:
        project = open_project(Settings(root=self.root, environ={}))
        try:
            yield project
        finally:
            project.close()

    def apply(
        self,
        *,
        meanwhile: Callable[[], object] = lambda: None,
        prompter: Prompter | None = None,
        destroy: bool = False,
    ) -> Ran:
        """Apply; `meanwhile` happens between the look at the host and the first step."""
        events: list[Event] = []

        def approve(made: Plan) -> bool:
            meanwhile()
            return True

        options = PlanOptions(operation="destroy") if destroy else PlanOptions()
        with self.opened() as project:
            outcome = apply(
                project,
                options,
                ApplyOptions(debug=prompter),
                saved=None,
                approve=approve,
                listener=events.append,
                stop=StopSignal(),
            )
            state = project.store.snapshot()
        assert outcome.result is not None
        kinds = [type(event) for event in events if isinstance(event, StepStarted | StepFinished)]
        first = kinds.index(StepFinished)
        results = {result.address: result for result in outcome.result.results}
        return Ran(results, first == len(results) > 1, state)

    def is_right(self) -> bool:
        """Whether a plan finds nothing to do."""
        with self.opened() as project:
            return not plan(project, PlanOptions(), listener=lambda event: None).effective


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    found = Here(tmp_path)
    monkeypatch.setenv("KUBEXMS_HOST_STATE", str(found.host))
    return found


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


CTR = """\
#!/bin/sh
[ -e {0}/up ] || {{ echo 'ctr: connection refused' >&2; exit 1; }}
case "$*" in
*'images check'* | *'images ls'*) echo 'REF TYPE DIGEST STATUS'; cat {0}/images ;;
*'images pull'*) echo 'r.example/x:1 t sha256:{1} complete' >>{0}/images ;;
esac
"""


@pytest.mark.parametrize("there", [False, True], ids=["is brought about", "is found done"])
def test_what_could_not_be_seen_by_the_plan_may_be_seen_by_the_apply(
    here: Here, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """containerd answers again when it comes to the step: nothing has changed that anybody had seen."""
    programs = here.root / "bin"
    programs.mkdir()
    (programs / "ctr").write_text(CTR.format(here.files, "0" * 64))
    (programs / "ctr").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    (here.files / "images").write_text(f"r.example/x:1 t sha256:{'0' * 64} complete\\n" if there else "")
    here.steps(
        {"name": "i", "kind": "containerdImage", "ref": "r.example/x:1", "digest": f"sha256:{'0' * 64}"}
    )
    ran = here.apply(meanwhile=(here.files / "up").touch)
    [result] = ran.results.values()
    assert (result.status.value, result.changed) == ("ok", not there), result.message
    assert here.is_right()


def test_what_became_right_by_itself_before_anything_was_done_is_right(here: Here) -> None:
    here.steps(here.file("a"))
    ran = here.apply(meanwhile=lambda: (here.files / "a").write_text("new\n"))
    assert ran.statuses == ["ok"]
    assert not ran.results["m/t/a@here"].changed
    assert not ran.state.steps["m/t/a@here"].touched
