"""The saved plan as a document: what it holds, and that it is the same however it was made."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.controller import Recorded
from kubexms.errors import ConnectionFailed
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import HIDDEN, Plan, PlanOptions
from kubexms.plan.provenance import with_origin
from kubexms.runtime.protocol import Fragment, ReadOnlyConnection, Reply
from kubexms.services.planfile import read_plan, write_plan
from kubexms.services.planning import prepare
from kubexms.services.project import Settings, open_project
from kubexms.views.plan_formats import PLAN_FORMATS

DOCUMENTS = """\
apiVersion: kubexms.io/v1alpha1
kind: Inventory
metadata: {name: fleet}
spec:
  hosts:
    - {name: "n[1-12]", roles: [node], vars: {token: CANARY-INVENTORY, port: 80}}
---
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {name: site}
spec:
  variables:
    port: {type: integer, default: 1}
    token: {type: string, sensitive: true, default: none}
  modules:
    - name: m
      tasks:
        - name: t
          runOnRoles: [node]
          steps:
            - {name: root, kind: directory, path: TARGET}
            - name: own
              kind: file
              path: "TARGET/{{ host.name }}"
              content: "{{ vars.port }} {{ facts.os.id }}"
            - {name: alike, kind: file, path: TARGET/alike, source: ./asset.txt}
            - {name: hidden, kind: file, path: TARGET/hidden, content: "{{ vars.token }}"}
            - {name: private, kind: file, path: TARGET/private, content: CANARY-PRIVATE, mode: "0600"}
            - {name: command, kind: command, run: "true", creates: TARGET/made}
            - {name: there, kind: directory, path: /tmp}
"""


class InTurn:
    """A connector whose hosts answer one after the other, in an order given beforehand."""

    def __init__(self, recorded: Recorded, order: Sequence[str], silent: Sequence[str]) -> None:
        self._recorded, self._order, self._silent = recorded, list(order), silent
        self._changed = threading.Condition()

    def readonly(self, host: str) -> ReadOnlyConnection:
        """The connection of one host."""
        return _Turn(self, host, self._recorded.readonly(host))

    def answer(self, host: str, connection: ReadOnlyConnection, fragments: Sequence[Fragment]) -> Reply:
        """Wait for the host's turn."""
        with self._changed:
            first = host in self._order
            assert not first or self._changed.wait_for(lambda: self._order[0] == host, timeout=60)
            try:
                if host in self._silent:
                    raise ConnectionFailed(f"{host} does not answer")
                return connection.ask(fragments, deadline=60)
            finally:
                if first:
                    self._order.pop(0)
                self._changed.notify_all()


class _Turn:
    def __init__(self, turns: InTurn, host: str, connection: ReadOnlyConnection) -> None:
        self._turns, self._host, self._connection = turns, host, connection

    @property
    def host(self) -> str:
        return self._host

    def prepare(self) -> None:
        self._connection.prepare()

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        return self._turns.answer(self._host, self._connection, fragments)

    def close(self) -> None:
        self._connection.close()


NAMES = [f"n{number}" for number in range(1, 13)]


@pytest.fixture
def answers() -> Iterator[Recorded]:
    recorded = Recorded()
    yield recorded
    recorded.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "a" / "site"
    made.mkdir(parents=True)
    (made / "site.yaml").write_text(DOCUMENTS.replace("TARGET", str(tmp_path / "target")))
    (made / "asset.txt").write_text("an asset\n")
    project = open_project(Settings(root=made))
    project.store.ensure()
    project.close()
    return made


def document(
    root: Path,
    answers: Recorded,
    *,
    parallelism: int = 16,
    order: Sequence[str] = NAMES,
    created: datetime = datetime(2026, 1, 1, tzinfo=UTC),
) -> Plan:
    project = open_project(Settings(root=root, parallelism=parallelism))
    try:
        connector = InTurn(answers, order, silent=["n5"])
        snapshot = project.store.snapshot()
        ready = prepare(
            project, PlanOptions(), connector, snapshot, listener=lambda event: None, now=lambda: created
        )
        return with_origin(ready.plan, ready.planned, ready.instances, project.loaded)
    finally:
        project.close()


def test_the_same_bytes_whatever_the_concurrency(root: Path, answers: Recorded, tmp_path: Path) -> None:
    one_by_one = document(root, answers, parallelism=1)
    write_plan(one_by_one, tmp_path / "first")
    expected = (tmp_path / "first").read_bytes()
    for seed in range(5):
        order = random.Random(seed).sample(NAMES, len(NAMES))
        write_plan(document(root, answers, order=order), tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == expected
    later = document(root, answers, created=datetime(2027, 1, 1, tzinfo=UTC))
    assert plan_digest(later) == plan_digest(one_by_one)
    write_plan(later, tmp_path / "later")
    assert (tmp_path / "later").read_bytes() != expected


def test_the_same_wherever_the_documents_are_checked_out(root: Path, answers: Recorded) -> None:
    elsewhere = root.parent.parent / "b" / "site"
    shutil.copytree(root, elsewhere)
    assert document(elsewhere, answers).to_json() == document(root, answers).to_json()


def test_it_holds_what_a_reviewer_may_ask(root: Path, answers: Recorded, tmp_path: Path) -> None:
    write_plan(document(root, answers), tmp_path / "p")
    plan = read_plan(tmp_path / "p")
    origin = plan.origin
    assert origin is not None
    assert [host.name for host in origin.inventory] == NAMES
    assert origin.inventory[0].roles == ("node",)
    assert origin.places["m/t/own"].file == "site.yaml"
    line = (root / "site.yaml").read_text().splitlines()[origin.places["m/t/own"].line - 1]
    assert "name: own" in line
    assert origin.inputs["n1"]["m"]["vars.port"] == 80
    assert "facts.os.id" in origin.inputs["n1"]["m"]
    assert origin.inputs["n1"]["m"]["vars.token"] == HIDDEN
    assert "n5" not in origin.inputs

    changes = {change.address: change for change in plan.changes}
    alike = {changes[f"m/t/alike@{name}"].binding.spec for name in NAMES if name != "n5"}
    assert len(alike) == 1, "equal steps are written once"
    assert origin.steps[alike.pop()].fields["source"] == {
        "path": "asset.txt",
        "sha256": hashlib.sha256(b"an asset\n").hexdigest(),
        "size": 9,
    }
    own = origin.steps[changes["m/t/own@n1"].binding.spec]
    assert (own.kind, own.fields["path"]) == ("file", str(tmp_path / "target/n1"))
    assert origin.steps[changes["m/t/hidden@n1"].binding.spec].fields["content"] == HIDDEN
    # what is right already says what was observed, too
    there = changes["m/t/there@n1"]
    assert not there.effective
    assert there.binding.observation
    assert [report.rounds for report in plan.hosts if report.name == "n5"] == [0]


def test_no_secret_is_in_it(root: Path, answers: Recorded, tmp_path: Path) -> None:
    write_plan(document(root, answers), tmp_path / "p")
    assert "CANARY" not in (tmp_path / "p").read_text()


@pytest.mark.parametrize("form", PLAN_FORMATS)
def test_no_secret_is_in_any_format(root: Path, answers: Recorded, form: str) -> None:
    shown = PLAN_FORMATS[form](document(root, answers))
    assert "CANARY" not in shown
    assert "m/t/own" in shown or form == "gitlab"


def test_a_plan_without_origin_is_read_as_well(root: Path, answers: Recorded, tmp_path: Path) -> None:
    plain = document(root, answers).model_copy(update={"origin": None})
    write_plan(plain, tmp_path / "p")
    data: dict[str, Any] = json.loads((tmp_path / "p").read_text())
    assert "origin" not in data["plan"]
    assert read_plan(tmp_path / "p").origin is None
