"""Secrets given in every way, looked for in everything that kubexms prints and leaves behind."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.unit.cli.test_program import kubexms

WAYS = "default", "var", "environ", "varfile", "inventory", "env", "file", "command", "varsfrom"
CANARIES = {
    name: f"kanarie-{number}x{number}-{name}"
    for number, name in enumerate((*WAYS, "literal", "each"), start=41)
}
"""One for each way in which a secret comes to kubexms."""

PIPELINE = """\
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {name: secrets}
spec:
  varsFrom:
    - {command: [cat, vars-from.json]}
  variables:
    target: {type: string}
    default: {type: string, sensitive: true, default: DEFAULT}
    var: {type: string, sensitive: true}
    environ: {type: string, sensitive: true}
    varfile: {type: string, sensitive: true}
    inventory: {type: string, sensitive: true}
    each: {type: list, sensitive: true, default: [EACH]}
    varsfrom: {type: string}
    env: {type: string, valueFrom: {env: SECRET_ENV}}
    file: {type: string, valueFrom: {file: secret-file}}
    command: {type: string, valueFrom: {command: [cat, secret-command]}}
    number: {type: integer, default: 1}
  hooks:
    pre:
      - {name: announce, run: "test -n '{{ vars.var }}'", "on": controller}
  modules:
    - name: m
      tasks:
        - name: t
          steps:
            - {name: root, kind: directory, path: "{{ vars.target }}", mode: "0755", force: true}
            - {name: default, kind: file, path: "T/default", content: "{{ vars.default }}\\n"}
            - {name: var, kind: file, path: "T/var", content: "a {{ vars.var | upper | lower }} b"}
            - {name: environ, kind: line, path: "T/lines", create: true, line: "k={{ vars.environ }}"}
            - {name: varfile, kind: block, path: "T/blocks", create: true, block: "{{ vars.varfile }}"}
            - {name: inventory, kind: file, path: "T/inv", content: "{{ host.vars.inventory }}"}
            - {name: template, kind: file, path: "T/template", template: template.j2}
            - {name: source, kind: file, path: "T/private", content: "LITERAL", mode: "0600"}
            - name: command
              kind: command
              run: "printf %s '{{ vars.command }}' >'{{ vars.target }}/command'"
              unless: "grep -q '{{ vars.command }}' '{{ vars.target }}/command'"
            - name: whole
              kind: command
              sensitive: true
              run: "printf %s '{{ vars.varsfrom }}' | tee '{{ vars.target }}/whole'; echo LITERAL >&2"
              creates: "{{ vars.target }}/whole"
            - name: each
              kind: file
              forEach: {a: one}
              path: "T/each"
              content: "{{ vars.each | first }}"
FAILING
"""
TEMPLATE = "{{ vars.env }} {{ vars.file }} {{ vars.varsfrom }}\n"
INVENTORY = """\
apiVersion: kubexms.io/v1alpha1
kind: Inventory
metadata: {{name: i}}
spec:
  hosts:
    - name: here
      vars: {{inventory: {inventory}}}
      connection: {{type: local, become: {{method: none}}}}
"""
FAILING = """\
            - name: failing
              kind: command
              run: "echo '{{ vars.var }}'; echo '{{ vars.command }}' >&2; exit 3"
              runs: once
            - name: refused
              kind: file
              path: "T/none/x"
              content: "{{ vars.default }}"
              validate: "echo '{{ vars.var }}' >&2; false %s"
"""


@dataclass
class Watched:
    """A project with secrets; every output is kept and searched."""

    root: Path
    outputs: list[tuple[str, str]] = field(default_factory=list)

    def run(self, *arguments: str, var: str | None = None, **environ: str) -> CompletedProcess[str]:
        given = ["--var", f"var={var or CANARIES['var']}", "--var-file", "vars.yaml"]
        without = arguments[0] in {"show", "runs", "state"} or "--help" in arguments
        done = kubexms(
            "-C", str(self.root), *arguments, *([] if without and len(arguments) > 1 else given),
            KUBEXMS_VAR_environ=CANARIES["environ"],
            SECRET_ENV=CANARIES["env"],
            KUBEXMS_HOST_STATE=str(self.root / "host-state"),
            KUBEXMS_TRACE="1",
            **environ,
        )  # fmt: skip
        self.outputs.append((" ".join(arguments), done.stdout + done.stderr))
        return done

    def fail(self) -> None:
        """From now on two steps fail and say secrets when they do."""
        text = (self.root / "pipeline.yaml").read_text()
        (self.root / "pipeline.yaml").write_text(
            text.rstrip("\n") + "\n" + FAILING.replace('"T/', '"{{ vars.target }}/')
        )

    def left(self) -> Iterator[tuple[str, bytes]]:
        """What is in files that kubexms wrote, those aside that the steps are about."""
        for directory in ("state", "reports", "host-state"):
            for path in (self.root / directory).rglob("*"):
                if path.is_file():
                    yield str(path.relative_to(self.root)), path.read_bytes()
        for name in ("p.kxp", "q.kxp"):
            if (self.root / name).exists():
                yield name, (self.root / name).read_bytes()


def forms(secret: str) -> set[bytes]:
    """Ways in which a secret may be written."""
    data = secret.encode()
    # base64 has three alignments; what is the same in each is looked for
    encoded = {base64.b64encode(b"x" * shift + data)[4:-4] for shift in range(3)}
    return {data, data.upper(), data.hex().encode(), urllib.parse.quote(secret, safe="").encode(), *encoded}


def found_in(where: str, data: bytes) -> list[str]:
    return [
        f"{name} in {where}: …{data[max(0, data.find(form) - 120) : data.find(form) + 60]!r}…"
        for name, secret in CANARIES.items()
        for form in forms(secret)
        if form in data
    ]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Watched]:
    root = tmp_path / "project"
    (root / "reports").mkdir(parents=True)
    text = PIPELINE.replace("FAILING\n", "").replace('"T/', '"{{ vars.target }}/')
    for name in ("default", "literal", "each"):
        text = text.replace(name.upper(), CANARIES[name])
    (root / "pipeline.yaml").write_text(text)
    (root / "inventory.yaml").write_text(INVENTORY.format(**CANARIES))
    (root / "template.j2").write_text(TEMPLATE)
    (root / "vars.yaml").write_text(f"target: {tmp_path / 'target'}\nvarfile: {CANARIES['varfile']}\n")
    (root / "vars-from.json").write_text(json.dumps({"varsfrom": CANARIES["varsfrom"]}))
    (root / "secret-file").write_text(CANARIES["file"] + "\n")
    (root / "secret-command").write_text(CANARIES["command"] + "\n")
    watched = Watched(root)
    yield watched
    leaks = [leak for where, text in watched.outputs for leak in found_in(where, text.encode())]
    leaks += [leak for where, data in watched.left() for leak in found_in(where, data)]
    assert leaks == []


def test_plans_in_every_format(project: Watched, tmp_path: Path) -> None:
    assert project.run("validate").returncode == 0, project.outputs
    assert project.run("plan").returncode == 0, project.outputs
    for arguments in (("--json",), ("--expand",), ("--untrusted",), ("--out", "p.kxp"), ("--destroy",)):
        project.run("plan", *arguments)
    for form in ("human", "json", "markdown", "html", "gitlab", "github"):
        shown = project.run(
            "show", "p.kxp", "--format", form, GITHUB_STEP_SUMMARY=str(project.root / "reports/s")
        )
        assert shown.returncode == 0, shown
    assert "(sensitive value)" in project.outputs[1][1]
    assert project.run("graph").returncode == 0
    assert project.run("hosts").returncode == 0


def test_apply_drift_state_and_destroy(project: Watched, tmp_path: Path) -> None:
    target = tmp_path / "target"
    project.run("plan", "--out", "p.kxp")
    applied = project.run("apply", "p.kxp")
    assert applied.returncode == 0, applied
    assert (target / "var").read_text() == f"a {CANARIES['var']} b"
    assert (target / "template").read_text() == TEMPLATE.replace("{{ vars.env }}", CANARIES["env"]).replace(
        "{{ vars.file }}", CANARIES["file"]
    ).replace("{{ vars.varsfrom }}", CANARIES["varsfrom"])
    assert (target / "whole").read_text() == CANARIES["varsfrom"]
    assert project.run("plan", "--detailed-exitcode").returncode == 0, project.outputs[-1]

    for name in ("default", "var", "inv", "template", "each", "whole", "command", "lines", "blocks"):
        (target / name).write_text("vandal")
    reports = [f"--{name}=reports/drift.{ending}" for name, ending in
               (("json", "json"), ("junit", "xml"), ("metrics", "prom"), ("html", "html"))]  # fmt: skip
    assert project.run("drift", "-v", *reports).returncode == 2, project.outputs[-1]
    assert project.run("drift", "--json").returncode == 2
    project.run("apply", "--auto-approve", "--json")
    for command in (
        "state list",
        "state show m",
        "state pull",
        "runs list",
        "runs list --json",
        "show",
        "show --json",
    ):
        assert project.run(*command.split()).returncode == 0, project.outputs[-1]
    (run, *_) = json.loads(project.run("runs", "list", "--json").stdout)
    assert project.run("runs", "show", run["id"]).returncode == 0
    assert project.run("destroy", "--auto-approve").returncode == 0, project.outputs[-1]


def test_steps_that_fail_and_say_what_they_were_given(project: Watched, tmp_path: Path) -> None:
    project.fail()
    failed = project.run("apply", "--auto-approve")
    assert failed.returncode == 1
    assert "m/t/failing@here" in failed.stdout + failed.stderr
    assert project.run("apply", "--auto-approve", "--json").returncode == 1
    (run, *_) = json.loads(project.run("runs", "list", "--json").stdout)
    project.run("runs", "show", run["id"])
    project.run("runs", "show", run["id"], "--json")
    project.run("state", "show", "m")


def test_a_plan_that_moved_because_a_secret_did(project: Watched, tmp_path: Path) -> None:
    project.run("plan", "--out", "p.kxp")
    (tmp_path / "target").mkdir()
    (tmp_path / "target/default").write_text(CANARIES["default"] + "!")
    refused = project.run("apply", "p.kxp", var=CANARIES["var"] + "-changed")
    assert refused.returncode == 1
    assert "m/t/var@here: spec moved" in refused.stderr
    assert "(sensitive value)" in refused.stderr


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pipeline.yaml", "{{ vars.env", "{{ vars.number + vars.var }}{{ vars.env"),
        ("template.j2", "{{ vars.env }}", "{{ vars.env | int('x') | nothing }}"),
        ("template.j2", "{{ vars.env }}", "{{ vars.env.upper.nothing }}"),
        ("pipeline.yaml", "varsfrom: {type: string}", "varsfrom: {type: integer}"),
        ("pipeline.yaml", "var: {type: string, sensitive", "var: {type: integer, sensitive"),
        ("pipeline.yaml", "inventory: {type: string, sensitive", "inventory: {type: boolean, sensitive"),
        ("pipeline.yaml", "varfile: {type: string, sensitive", "varfile: {enum: [a], sensitive"),
        ("pipeline.yaml", "environ: {type: string, sensitive", "environ: {pattern: '[0-9]+', sensitive"),
        ("pipeline.yaml", 'mode: "0755"', 'mode: "{{ vars.var }}"'),
        ("pipeline.yaml", "create: true, line: ", 'state: "{{ vars.file }}", line: '),
        ("vars.yaml", "varfile: ", "varfile: [unclosed, "),
        ("vars-from.json", "}", ""),
        ("secret-command", CANARIES["command"], CANARIES["command"] + "\\x00"),
    ],
)  # fmt: skip
def test_errors_do_not_quote_what_is_secret(project: Watched, name: str, old: str, new: str) -> None:
    path = project.root / name
    text = path.read_text()
    assert old in text or name == "pipeline.yaml"
    path.write_text(text.replace(old, new, 1))
    for command in (("validate",), ("plan", "--json"), ("apply", "--auto-approve")):
        project.run(*command)
