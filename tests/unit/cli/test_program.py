"""The program itself, as a process: start-up, pipes, terminals, and real projects on this machine."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.cli.local import on_a_terminal

PROGRAM = [sys.executable, "-m", "kubexms"]
HEAVY = ("pydantic", "rich", "networkx", "sqlalchemy", "paramiko", "jinja2", "yaml")

PIPELINE = """\
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {name: p}
spec:
  variables: {target: {type: string}}
  modules:
    - name: m
      tasks:
        - name: t
          steps:
            - {name: root, kind: directory, path: "{{ vars.target }}", mode: "0755"}
            - {name: hello, kind: file, path: "{{ vars.target }}/hello", content: "hello\\n", mode: "0644"}
"""
INVENTORY = """\
apiVersion: kubexms.io/v1alpha1
kind: Inventory
metadata: {name: i}
spec: {hosts: [{name: here, connection: {type: local, become: {method: none}}}]}
"""

PROJECT = """\
apiVersion: kubexms.io/v1alpha1
kind: Project
metadata: {name: p}
spec: {state: {allowLocalInCi: true}}
"""


def kubexms(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR", "FORCE_COLOR"}
    }
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**clean, **environ},
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that makes one file in a directory of its own."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pipeline.yaml").write_text(PIPELINE)
    (root / "inventory.yaml").write_text(INVENTORY)
    (root / "vars.yaml").write_text(f"target: {tmp_path / 'target'}\n")
    return root


def in_project(
    project: Path, command: str, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    return kubexms("-C", str(project), *command.split(), "--var-file", "vars.yaml", *arguments, **environ)


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["--version"], ["completion", "bash"]])
def test_what_needs_nothing_imports_nothing(arguments: list[str]) -> None:
    code = (
        "import sys; from kubexms.cli.main import main\n"
        f"code = main({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True)
    assert done.stderr.strip() == "[] 0"
    assert done.stdout


def test_start_up_reads_little_more_than_click_does() -> None:
    code = (
        "import sys, click; before = set(sys.modules)\n"
        "from kubexms.cli.main import main; main(['version'])\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True)
    read = done.stderr.split()
    assert "kubexms.cli.version" in read
    assert len(read) < 40, read


@pytest.mark.parametrize(("argument", "expected"), [("version", 0), ("vresion", 1)])
def test_a_process_that_ends_looks_for_no_garbage(argument: str, expected: int) -> None:
    code = (
        "import atexit, gc, sys; from kubexms.cli.main import run\n"
        "seen = []; gc.callbacks.append(lambda phase, info: seen.append(phase))\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10_000, seen, file=sys.__stderr__))\n"
        "run()"
    )
    done = subprocess.run([sys.executable, "-c", code, argument], text=True, capture_output=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (expected, "True []")


def test_plan_apply_plan_drift_destroy(project: Path, tmp_path: Path) -> None:
    first = in_project(project, "plan --detailed-exitcode")
    assert (first.returncode, first.stderr) == (2, "")
    assert "  # m/t/hello@here will be created\n" in first.stdout
    assert not (tmp_path / "target").exists()

    refused = in_project(project, "apply")
    assert refused.returncode == 1
    assert "Pass --auto-approve" in refused.stderr

    applied = in_project(project, "apply --auto-approve")
    assert applied.returncode == 0, applied
    assert "[here] m/t: 2 changed\n" in applied.stdout
    assert applied.stdout.endswith("Apply complete! Resources: 2 added, 0 changed, 0 destroyed.\n")
    assert (tmp_path / "target/hello").read_text() == "hello\n"

    again = in_project(project, "plan --detailed-exitcode")
    assert again.returncode == 0
    assert "No changes. Your infrastructure matches the configuration.\n" in again.stdout
    clean = in_project(project, "drift")
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")

    (tmp_path / "target/hello").write_text("changed\n")
    assert in_project(project, "drift").returncode == 2
    repaired = in_project(project, "plan")
    assert "  # (drift: the host changed since it was last applied)\n" in repaired.stdout
    assert "          - changed\n          + hello\n" in repaired.stdout

    destroyed = in_project(project, "destroy --auto-approve")
    assert destroyed.stdout.endswith("Destroy complete! Resources: 2 destroyed.\n"), destroyed
    assert not (tmp_path / "target").exists()


def test_a_runner_that_forgets_is_asked_first(project: Path, tmp_path: Path) -> None:
    assert in_project(project, "plan", CI="true").returncode == 0
    refused = in_project(project, "apply --auto-approve", CI="true")
    assert refused.returncode == 1
    assert "Error: CI is set, and the state would be written to this machine's own disk" in refused.stderr
    assert not (tmp_path / "target").exists()
    (project / "project.yaml").write_text(PROJECT)
    assert in_project(project, "apply --auto-approve", CI="true").returncode == 0
    assert (tmp_path / "target/hello").exists()


def test_saved_plans_apply_once_and_only_as_they_were(project: Path) -> None:
    assert in_project(project, "plan --out x.plan").returncode == 0
    shown = json.loads(kubexms("-C", str(project), "show", "--json", "x.plan").stdout)
    assert [entry["address"] for entry in shown["resource_changes"]] == ["m/t/hello@here", "m/t/root@here"]
    assert kubexms("-C", str(project), "apply", "x.plan").returncode == 0
    twice = kubexms("-C", str(project), "apply", "x.plan")
    assert twice.returncode == 1
    assert "Error: this plan has been applied already" in twice.stderr


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_hosts_that_moved_are_left_out_by_name(project: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert in_project(project, "plan --out x.plan").returncode == 0
    (tmp_path / "target").mkdir(mode=0o700)
    given = ["-C", str(project), "apply", "--on-stale", "skip-host", *flags]
    done = kubexms(*given, "x.plan")
    assert (done.returncode, done.stderr) == (1, "")
    moved = 'mode: planned from absent, observed now "0700", desired "0755"'
    if not flags:
        assert "  here  ok=0  changed=0  failed=0  skipped=0  left out\n" in done.stdout
        assert "Left out, because it moved since the plan was made\n  m/t/root@here\n    mode:" in done.stdout
        assert moved in done.stdout
        assert "Error: the apply is incomplete: 1 host left out\n" in done.stdout
        assert "Apply complete" not in done.stdout
    else:
        events = [json.loads(line) for line in done.stdout.splitlines()]
        told = next(event["diagnostic"] for event in events if event["type"] == "diagnostic")
        assert (told["severity"], told["address"]) == ("warning", "m/t/root@here")
        assert told["summary"].startswith("here was left out: ")
        assert moved in told["detail"]
        assert events[-1]["@message"] == "Apply incomplete. Resources: 0 added, 0 changed, 0 destroyed."
    assert not (tmp_path / "target/hello").exists()
    assert kubexms(*given, "x.plan").returncode == 1  # nothing of it was applied: it may be tried again


HOOKS = """\
          hooks:
            pre: [{name: before, run: "echo before >> {{ vars.target }}.log"}]
            post: [{name: after, run: "echo after >> {{ vars.target }}.log; ! test -e {{ vars.target }}.bad"}]
          steps:
"""


def test_hooks_are_listed_where_they_run_and_nowhere_else(project: Path, tmp_path: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE.replace("          steps:\n", HOOKS))
    log = tmp_path / "target.log"
    (tmp_path / "target.bad").touch()
    assert "  # m/t/hook[before]@controller runs before its scope\n" in in_project(project, "plan").stdout
    broken = in_project(project, "apply --auto-approve")
    assert broken.returncode == 1
    assert "1 hook failed" in broken.stdout
    assert log.read_text() == "before\nafter\n"
    run = json.loads(in_project(project, "runs list --json").stdout)[0]
    shown = in_project(project, "runs show", run["id"]).stdout
    assert re.search(r"m/t/hook\[before\]@controller +run +ok ", shown)
    assert re.search(r"m/t/hook\[after\]@controller +run +failed ", shown)
    # the scope is still open: nothing but its end is to be done
    again = in_project(project, "plan").stdout
    assert "hook[before]" not in again
    assert "  # m/t/hook[after]@controller runs, because an earlier run left its scope open\n" in again
    (tmp_path / "target.bad").unlink()
    assert in_project(project, "apply --auto-approve").returncode == 0
    assert log.read_text() == "before\nafter\nafter\n"
    assert "hook[" not in in_project(project, "plan").stdout
    destroyed = in_project(project, "destroy --auto-approve")
    assert destroyed.returncode == 0
    assert "hook[" not in destroyed.stdout
    assert log.read_text() == "before\nafter\nafter\n"


SECRETIVE = """\
          hooks: {pre: [{name: h, run: "echo {{ vars.pw }}; exit 3", ignoreErrors: true}]}
          steps:
            - {name: c, kind: command, runs: always, run: "echo {{ vars.pw | b64encode }}; exit 3"}
            - {name: d, kind: command, runs: always, dependsOn: [], run: "echo {{ vars.pw }} >&2; exit 3"}
"""


def test_secrets_that_commands_print_are_kept_nowhere(project: Path) -> None:
    text = PIPELINE.partition("          steps:")[0].replace(
        "variables: {", "variables: {pw: {type: string, sensitive: true}, "
    )
    (project / "pipeline.yaml").write_text(text + SECRETIVE)
    done = in_project(project, "apply --auto-approve --var pw=hunter2")
    assert done.returncode == 1
    assert "hook h: exit status 3: (sensitive value)" in done.stdout
    assert "exit status 3: (sensitive value)\n  stdout:\n    (sensitive value)" in done.stdout
    kept = b"".join(path.read_bytes() for path in (project / "state").iterdir())
    for secret in ("hunter2", base64.b64encode(b"hunter2").decode()):
        assert secret not in done.stdout + done.stderr
        assert secret.encode() not in kept


def test_state_and_runs(project: Path) -> None:
    assert in_project(project, "apply --auto-approve").returncode == 0
    assert in_project(project, "state list").stdout == "m/t/hello@here\nm/t/root@here\n"
    assert "before kubexms: it was not there" in in_project(project, "state show m/t/hello").stdout
    runs = json.loads(in_project(project, "runs list --json").stdout)
    assert [run["status"] for run in runs] == ["succeeded"]
    shown = in_project(project, "runs show", runs[0]["id"][:12])
    assert "m/t/hello@here" in shown.stdout
    assert in_project(project, "state mv m/t/hello m/t/hi").stdout == "Moved m/t/hello@here to m/t/hi@here\n"
    assert in_project(project, "state mv m/t/hi@here m/t/hi@there").returncode == 0
    refused = in_project(project, "state mv m/t/hi@there m/t/hi@here")
    assert "Error: m/t/hi@there cannot be moved to here, which is another host\n" in refused.stderr
    assert in_project(project, "state rm m/t/hi@there").returncode == 0
    assert in_project(project, "state mv m/t/root m/t/hi").returncode == 0
    assert in_project(project, "state rm m/t/hi").stdout == "Forgot m/t/hi@here\n"
    pulled = in_project(project, "state pull").stdout
    assert {"version", "serial", "lineage"} <= set(json.loads(pulled))
    (project / "state.json").write_text(pulled)
    assert in_project(project, "state push state.json").returncode == 0
    assert in_project(project, "state forget --host here").stdout == "Forgot here and 0 entries.\n"
    assert in_project(project, "state show nothing").returncode == 1


def test_looking_around(project: Path) -> None:
    assert in_project(project, "validate").stdout == "Success! The configuration is valid.\n"
    assert "m\n  t  [here]\n" in in_project(project, "graph").stdout
    assert in_project(project, "graph --format dot").stdout.startswith("digraph kubexms {")
    hosts = json.loads(in_project(project, "hosts --json").stdout)
    assert hosts[0]["reachable"]
    assert hosts[0]["facts"]["os"]
    assert "path <string> -required-" in kubexms("explain", "file").stdout
    assert "file" in kubexms("explain").stdout
    assert "Did you mean 'mode'?" in kubexms("explain", "file.moed").stderr
    assert "`kubexms explain file` lists them." in kubexms("explain", "file.moed").stderr
    # as the document has it, and from its spec on
    assert "at set times" in kubexms("explain", "cluster.spec.etcd.backup").stdout
    assert (
        kubexms("explain", "cluster.etcd.backup").stdout
        == kubexms("explain", "cluster.spec.etcd.backup").stdout
    )
    assert "Cluster.etcd has no field" in kubexms("explain", "Cluster.etcd.nothing").stderr
    assert json.loads(kubexms("schema", "pipeline").stdout)["title"] == "Pipeline"


def test_the_starter_project_works_as_it_stands(tmp_path: Path) -> None:
    made = kubexms("init", str(tmp_path / "first"))
    assert made.returncode == 0
    assert kubexms("init", str(tmp_path / "first")).returncode == 1
    root, target = str(tmp_path / "first"), str(tmp_path / "target")
    assert kubexms("-C", root, "validate").returncode == 0
    assert kubexms("-C", root, "apply", "--auto-approve", "--var", f"target={target}").returncode == 0
    assert list(Path(target).iterdir())


def test_a_reader_that_leaves_does_not_stop_an_apply(project: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*PROGRAM, "-C", str(project), "apply", "--auto-approve", "--var-file", "vars.yaml"]
    try:
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "target/hello").exists()


def test_a_terminal_without_the_characters_gets_numbers(project: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE.replace("hello\\n", "h\u00e9llo\\n"), "utf-8")
    done = in_project(project, "plan", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == 0, done
    assert "h\\xe9llo" in done.stdout


SLOW = """\
            - {name: slow, kind: command, run: "touch {{ vars.target }}/begun; sleep 3", runs: once}
            - {name: after, kind: file, path: "{{ vars.target }}/after", content: "x"}
"""


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_leaves_a_state_that_says_so(project: Path, tmp_path: Path, interrupts: int) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE + SLOW)
    command = [*PROGRAM, "-C", str(project), "apply", "--auto-approve", "--var-file", "vars.yaml"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    ) as running:
        try:
            deadline = time.monotonic() + 30
            while not (tmp_path / "target/begun").exists():
                assert time.monotonic() < deadline
                assert running.poll() is None, running.communicate()
                time.sleep(0.05)
            for _ in range(interrupts):
                running.send_signal(signal.SIGINT)
                time.sleep(0.2)
            out, err = running.communicate(timeout=30)
        finally:
            running.kill()
    assert (running.returncode, err) == (130, "")
    assert "Error: the apply was stopped" in out
    assert not (tmp_path / "target/after").exists()
    runs = json.loads(in_project(project, "runs list --json").stdout)
    assert runs[0]["status"] == "interrupted"


def test_on_a_terminal_it_asks_in_colour(project: Path, tmp_path: Path) -> None:
    given = ["-C", str(project), "apply", "--var-file", "vars.yaml"]
    code, shown = on_a_terminal([*PROGRAM, *given], types="no\n")
    assert code == 1
    assert "\x1b[32m+\x1b[0m" in shown
    assert "Apply cancelled." in shown
    assert not (tmp_path / "target").exists()
    code, shown = on_a_terminal([*PROGRAM, *given], types="yes\n")
    assert code == 0, shown
    assert "Enter a value: " in shown
    assert "Apply complete!" in shown
    assert (tmp_path / "target/hello").exists()
