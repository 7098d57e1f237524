"""What every registered kind owes: run against all of them, third parties' too if they are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.spec.docstrings import descriptions
from kubexms.spec.pipeline import StepSpec
from kubexms.step.contract import ActionKind, ChangeRequest, StepArgs, StepExecutor
from kubexms.step.observation import Observation, Presence
from kubexms.step.registry import default_registry
from kubexms.step.shell import quote
from tests.steps.cases import Case, case_files
from tests.steps.sandbox import SHELLS, Sandbox, Subject, applets

REGISTRY = default_registry()
KINDS = list(REGISTRY)
FILES = {file.kind: file.cases for file in case_files()}

SECRET = "s3cret-\"'$`\\-value"


def examples(kind: str) -> list[StepArgs]:
    """The kind's own example and every valid case."""
    executor = REGISTRY.get(kind)
    found = [executor.spec.from_json(_example(executor).args)]
    found += [executor.spec.from_json(case.spec) for case in FILES.get(kind, ()) if case.invalid is None]
    return found


def _example(executor: StepExecutor[Any]) -> StepSpec:
    """The example as a step; it may hold templates, which stand for names of hosts and the like."""
    (entry,) = yaml.safe_load(executor.example)
    StepSpec.from_json(entry, context={"registry": REGISTRY})
    return StepSpec.from_json(yaml.safe_load(re.sub(r"\{\{.*?\}\}", "n1", executor.example))[0])


def actions(kind: str) -> list[Action]:
    """Actions and undos of every example, for what a host might have answered."""
    executor = REGISTRY.get(kind)
    found: list[Action] = []
    for spec in examples(kind):
        desired = executor.desired(spec)
        for before, change in (
            (Observation.absent(), ActionKind.CREATE),
            (Observation.present(desired or {}), ActionKind.DELETE if desired is None else ActionKind.UPDATE),
            (Observation.unknown("x"), ActionKind.UPDATE),
        ):
            request = ChangeRequest(change, before, frozenset(desired or {}))
            found.append(executor.action(spec, request))
        undo = executor.undo(spec, Observation.absent())
        if undo is not None:
            found.append(undo)
    return found


def fragments(kind: str) -> list[Fragment]:
    """The fragments that ask about all examples."""
    return [probe.fragment for probe in REGISTRY.get(kind).probe(examples(kind))]


ON_CONTROLLER = ("kubeconfig",)
"""Kinds that compare with a file of the controller: a case, being data, has none; their own tests do."""


@pytest.mark.parametrize("kind", KINDS)
class TestKind:
    def test_it_is_described(self, kind: str) -> None:
        executor = REGISTRY.get(kind)
        assert executor.kind == kind
        assert (executor.spec.__doc__ or "").strip()
        missing = set(executor.spec.model_fields) - set(descriptions(executor.spec))
        assert not missing
        common = {info.alias or name for name, info in StepSpec.model_fields.items()} - {"args"}
        own = {info.alias or name for name, info in executor.spec.model_fields.items()}
        assert not own & common, "a field of that name would never reach the kind"
        executor.spec.model_json_schema(by_alias=True)

    def test_its_example_is_valid(self, kind: str) -> None:
        executor = REGISTRY.get(kind)
        step = _example(executor)
        assert step.kind == kind
        spec = executor.spec.from_json(step.args)
        assert executor.spec.from_json(spec.to_json()) == spec

    def test_its_names_are_those_of_fields_and_attributes(self, kind: str) -> None:
        executor = REGISTRY.get(kind)
        fields = set(executor.spec.model_fields)
        assert set(executor.identity) <= fields
        assert set(executor.feeds) <= fields
        assert executor.identity or len(fields) == 0 or executor.imperative or len(examples(kind)) > 0

    def test_its_cases_cover_what_matters(self, kind: str) -> None:
        cases = FILES.get(kind, ())
        changes = {case.change for case in cases}
        assert any(case.invalid for case in cases), "no case of an invalid spec"
        assert "no-op" in changes or kind in ON_CONTROLLER, "no case where nothing is to be done"
        assert changes & {"create", "update", "replace", "delete"}, "no case of a change"
        assert any(_is_error(case) for case in cases), "no case of a host that cannot answer"

    def test_asking_together_or_alone_gives_the_same_records(self, kind: str, tmp_path: Path) -> None:
        executor = REGISTRY.get(kind)
        specs = examples(kind)[:12]
        for shell in _shells():
            sandbox = Sandbox(shell, tmp_path)
            together: dict[int, object] = {}
            for probe in executor.probe(specs):
                records = sandbox.ask(probe.fragment)
                together.update(zip(probe.indexes, records, strict=True))
            for index, spec in enumerate(specs):
                (probe,) = executor.probe([spec])
                assert sandbox.ask(probe.fragment) == [together[index]], (shell, spec)

    def test_what_it_desires_it_observes(self, kind: str, tmp_path: Path) -> None:
        """Every desired attribute is one that an observation of a present object has."""
        executor = REGISTRY.get(kind)
        known: set[str] = set()
        wanted: set[str] = set()
        for case in FILES.get(kind, ()):
            if case.invalid is not None or case.record is None:
                continue
            spec = executor.spec.from_json(case.spec)
            seen = executor.observe(spec, case.record.record())
            known |= set(seen.attributes)
            if seen.presence is Presence.PRESENT:
                wanted |= set(executor.desired(spec) or {})
        assert wanted <= known

    def test_no_answer_makes_it_raise(self, kind: str) -> None:
        executor = REGISTRY.get(kind)
        texts = (b"", b"\n", b"\xff\xfe", b"a\nb\nc", b"0 0 0\n" * 50, b"=", b"x=y\n=\n", b"\t;|/" * 20)
        for spec in examples(kind)[:6]:
            for status in (0, 1, 2, 3, 4, 5, 127, 255):
                for text in texts:
                    assert isinstance(executor.observe(spec, Record(status, text)), Observation)

    def test_it_writes_posix_shell(self, kind: str, tmp_path: Path) -> None:
        scripts = {fragment.script for fragment in fragments(kind)}
        scripts |= {action.script for action in actions(kind)}
        for number, script in enumerate(sorted(scripts)):
            path = tmp_path / f"{number}.sh"
            path.write_text(script, errors="surrogateescape")
            for shell in _shells():
                argv = ["busybox", "sh"] if shell == "busybox" else [shell]
                done = subprocess.run([*argv, "-n", str(path)], capture_output=True)
                assert done.returncode == 0, (shell, done.stderr.decode(), script)
            assert not _bashisms(script), script

    def test_its_fragments_are_frugal(self, kind: str) -> None:
        specs = examples(kind)
        probes = REGISTRY.get(kind).probe(specs * 10)
        assert len(probes) <= 4, "specs of one kind are asked about together"
        assert sorted(index for probe in probes for index in probe.indexes) == list(range(len(specs) * 10))
        assert REGISTRY.get(kind).probe([]) in ((), [])

    def test_it_says_the_same_twice(self, kind: str) -> None:
        assert fragments(kind) == fragments(kind)
        assert actions(kind) == actions(kind)


def _is_error(case: Case) -> bool:
    expected = case.observe
    if expected is not None and expected.presence == "unknown":
        return True
    return case.record is not None and case.record.status != 0


def _shells() -> list[str]:
    return [shell for shell in SHELLS if shutil.which(shell)]


_BASHISMS = re.compile(
    r"(?m)^\s*(?:function\s+\w+|source\s|declare\s|typeset\s|local\s+\w+=\$\()|\[\[\s|<<<|&>>?|\$'|"
    r"\becho -[en]\b|"
    r"\$\{\w+(?:\^|,,|//|:\d)|\bread -[ap]\b|\(\(\s*\w+\+\+|;;&|\|&\s|\bpushd\b"
)


def _bashisms(script: str) -> list[str]:
    """What bash alone understands, outside of single quotes (where awk and data live)."""
    bare = re.sub(r"'[^']*'", "''", re.sub(r"(?m)^\s*#.*$", "", script))
    return [match.group() for match in _BASHISMS.finditer(bare.replace("$''", "")) if match.group() != "$'"]


NASTY = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
) | st.sampled_from(
    ["'", '"', "$(id)", "`id`", "a\nb", "\\", "-rf", "*", "~", "$HOME", "!", "a b", "\t", "é", "%s"]
)


def nasty_path(name: str) -> str | None:
    """A path below a sandbox's root, or None where the text would be another path."""
    cleaned = name.replace("/", "_")
    return None if cleaned in (".", "..") else cleaned


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "line", "block"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NASTY, text=NASTY)
def test_any_name_and_any_text_is_quoted(kind: str, name: str, text: str, tmp_path: Path) -> None:
    """The object is made under exactly that name, and undone; nothing else appears."""
    cleaned = nasty_path(name)
    if cleaned is None or len(cleaned.encode()) > 200:
        return
    root = tmp_path / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    sandbox = Sandbox("dash", tmp_path)
    shutil.rmtree(sandbox.store)
    host = Subject(REGISTRY.get(kind), sandbox)
    own: dict[str, dict[str, str | bool]] = {
        "file": {"content": text},
        "directory": {},
        "symlink": {"target": text},
        "line": {"line": text.replace("\n", " "), "create": True},
        "block": {"block": text, "create": True},
    }
    spec = host.executor.spec.from_json({"path": f"{root}/{cleaned}", **own[kind]})
    prior = host.observe(spec)
    assert prior.presence is Presence.ABSENT
    outcome = sandbox.act(host.executor.action(spec, host.request(spec)))
    assert outcome.status == 0, outcome.stderr
    assert [path.name for path in root.iterdir()] == [cleaned]
    assert host.request(spec).action is ActionKind.NO_OP
    undo = host.executor.undo(spec, prior)
    assert undo is not None
    assert sandbox.act(undo).status == 0
    assert not list(root.iterdir())


@settings(max_examples=200)
@given(st.text(st.characters(exclude_characters="\0")))
def test_quoting(text: str) -> None:
    quoted = quote(text)
    assert "\n" not in quoted or quoted.startswith("'")
    assert re.sub(r"'[^']*'|\"'\"", "", quoted).strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                      "0123456789@%_-+=:,./") == ""  # fmt: skip


SECRETS: dict[str, tuple[dict[str, Any], ...]] = {
    "file": ({"path": "/x", "content": SECRET, "mode": "0600"},),
    "line": ({"path": "/x", "line": SECRET, "regexp": "x"},),
    "block": ({"path": "/x", "block": SECRET},),
    "command": ({"run": f"echo {SECRET}", "runs": "once", "env": {"A": SECRET}, "stdin": SECRET},),
    "download": ({"path": "/x", "url": "https://x/", "sha256": "0" * 64, "headers": {"A": SECRET}},),
}


@pytest.mark.parametrize("kind", sorted(SECRETS))
def test_values_travel_as_payloads(kind: str) -> None:
    """No secret stands in a script, so that no argument of a process can ever hold one."""
    executor = REGISTRY.get(kind)
    for fields in SECRETS[kind]:
        spec = executor.spec.from_json(fields)
        action = executor.action(spec, ChangeRequest(ActionKind.CREATE, Observation.absent()))
        assert "s3cret" not in action.script
        data = b"".join(payload.data or b"" for payload in action.payloads.values())
        assert b"s3cret" in data


def test_fifty_files_are_asked_about_quickly(tmp_path: Path) -> None:
    """A handful of processes whatever the number: one that is started per file would cost more."""
    executor = REGISTRY.get("file")
    specs = []
    for number in range(50):
        path = tmp_path / str(number)
        path.write_text(str(number))
        specs.append(executor.spec.from_json({"path": str(path), "content": str(number), "mode": "0644"}))
    (probe,) = executor.probe(specs)
    counted = tmp_path / "bin"
    counted.mkdir()
    for tool in ("stat", "sha256sum", "cat", "readlink"):
        real = shutil.which(tool)
        (counted / tool).write_text(f'#!/bin/sh\necho {tool} >>{tmp_path}/count\nexec {real} "$@"\n')
        (counted / tool).chmod(0o755)
    sandbox = Sandbox("dash", tmp_path, {"PATH": f"{counted}:{applets()}"})
    records = sandbox.ask(probe.fragment)
    assert all(executor.observe(spec, record).attributes["mode"] == "0644"
               for spec, record in zip(specs, records, strict=True))  # fmt: skip
    assert sorted((tmp_path / "count").read_text().split()) == ["sha256sum", "stat"]
