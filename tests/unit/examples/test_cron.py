"""The examples for cron are what they say: parsed by their own programs, and run where they can be."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubexms.plan.driftreport import DriftReport
from kubexms.views.drift_metrics import drift_metrics
from tests.unit.examples.markdown import ROOT
from tests.unit.services.drifting import Drifting

CRON = ROOT / "examples/cron"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool (it is in Debian's prometheus)"
)


@needs_promtool
@pytest.mark.parametrize(
    "command", [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]]
)
def test_promtool_takes_the_rules_and_their_tests(command: list[str]) -> None:
    done = subprocess.run(["promtool", *command], cwd=CRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_alerts_are_about_metrics_that_there_are() -> None:
    rules = (CRON / "alerts.yaml").read_text()
    told = set(re.findall(r"kubexms_\w+", rules))
    there = set(re.findall(r"^# TYPE (\w+)", drift_metrics(DriftReport()), re.MULTILINE))
    assert told <= there
    page = (ROOT / "docs/drift.md").read_text()
    assert there <= set(re.findall(r"kubexms_\w+", page))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze (it is in systemd)")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = [tmp_path / name for name in ("kubexms-drift.service", "kubexms-drift.timer")]
    for unit in units:
        unit.write_text((CRON / unit.name).read_text().replace("/opt/kubexms/bin/kubexms", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def line_of_cron() -> tuple[list[str], str, str]:
    """The five fields, the user and the command of the crontab's one line."""
    lines = (CRON / "kubexms-drift.cron").read_text().splitlines()
    (line,) = [line for line in lines if line and not line.startswith("#") and "=" not in line.split()[0]]
    *when, user, command = line.split(None, 6)
    return when, user, command


def test_the_line_of_cron_is_silent_when_clean_and_says_what_drifted(tmp_path: Path) -> None:
    here = Drifting(tmp_path)
    here.steps(here.file("a", "one\n"))
    here.apply()
    when, user, command = line_of_cron()
    assert (when, user) == (["*/15", "*", "*", "*", "*"], "kubexms")
    lock = tmp_path / "lock"
    for there, instead in {
        "/run/lock/kubexms-drift": str(lock),
        "/etc/kubexms/site": str(tmp_path),
        "/var/lib/prometheus/node-exporter": str(tmp_path),
    }.items():
        assert there in command
        command = command.replace(there, instead)
    binary = tmp_path / "bin"
    binary.mkdir()
    (binary / "kubexms").write_text(f'#!/bin/sh\nexec {sys.executable} -m kubexms "$@"\n')
    (binary / "kubexms").chmod(0o755)

    def run() -> subprocess.CompletedProcess[str]:
        environment = {**here.environ, "PATH": f"{binary}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        return subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True)

    clean = run()
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")
    assert "kubexms_last_success" in (tmp_path / "kubexms.prom").read_text()
    (here.target / "a").write_text("vandal\n")
    drifted = run()
    assert (drifted.returncode, drifted.stderr) == (2, "")
    assert "m/t/a@here has changed" in drifted.stdout
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = run()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", ""), "one at a time, silently"


def cron_job() -> dict[str, Any]:
    (document,) = yaml.safe_load_all((CRON / "kubernetes/cronjob.yaml").read_text())
    assert isinstance(document, dict)
    return document


def test_the_cron_job_mounts_what_it_names_and_runs_once_at_a_time() -> None:
    job = cron_job()
    assert (job["apiVersion"], job["kind"], job["spec"]["concurrencyPolicy"]) == (
        "batch/v1",
        "CronJob",
        "Forbid",
    )
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    assert pod["restartPolicy"] == "Never"
    assert job["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
    references = re.findall(r"\{env: (\w+)\}", " ".join(container["args"]))
    assert set(references) <= {variable["name"] for variable in container["env"]}


@pytest.mark.parametrize("name", ["kubexms-drift.cron", "kubexms-drift.service", "kubernetes/cronjob.yaml"])
def test_options_in_examples_exist(name: str) -> None:
    from kubexms.cli.drift import drift

    known = {flag for parameter in drift.params for flag in parameter.opts}
    text = "\n".join(
        line for line in (CRON / name).read_text().splitlines() if "kubexms" in line or "--" in line
    )
    used = set(re.findall(r"(?<![\w-])--[a-z-]+", text)) - {"--nonblock", "--conflict-exit-code", "--now"}
    assert used
    assert used <= known
