"""terraform-compliance reads plan JSON as it is: policies pass, and fail for cause."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kubexms.views.jsontext import line
from kubexms.views.plan_json import plan_document
from tests.golden.cases import CASES, Case
from tests.review import MISSING, PROGRAMS, ROOT
from tests.unit.cli.test_program import INVENTORY, kubexms

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

POLICY = ROOT / "examples" / "ci" / "policy"
PIPELINE = """\
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {{name: p}}
spec:
  modules:
    - name: web
      tasks:
        - name: files
          steps:
            - {{name: page, kind: file, path: {target}/page, content: "x", mode: "{mode}"}}
            - name: each
              kind: file
              forEach: [one, two]
              path: "{target}/{{{{ each.value }}}}"
              content: "{{{{ facts.os.id }}}}"
              mode: "0644"
"""


def comply(plan: Path, policy: Path) -> tuple[int, str]:
    """The exit status of terraform-compliance, and what it says."""
    done = subprocess.run(
        [str(PROGRAMS / "terraform-compliance"), "--no-ansi", "-f", str(policy), "-p", str(plan)],
        capture_output=True,
        text=True,
        cwd=plan.parent,
    )
    return done.returncode, done.stdout + done.stderr


def saved(tmp_path: Path, mode: str) -> Path:
    """The JSON of a plan that was made for real and saved."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pipeline.yaml").write_text(PIPELINE.format(target=tmp_path / "target", mode=mode))
    (root / "inventory.yaml").write_text(INVENTORY)
    assert kubexms("-C", str(root), "plan", "--out", "plan.kxp").returncode == 0
    shown = kubexms("-C", str(root), "show", "--format", "json", "plan.kxp")
    (tmp_path / "plan.json").write_text(shown.stdout)
    return tmp_path / "plan.json"


def test_a_plan_that_follows_the_policy_passes(tmp_path: Path) -> None:
    code, said = comply(saved(tmp_path, "0640"), POLICY)
    assert code == 0, said
    assert "2 passed" in said


def test_a_plan_that_breaks_it_fails_and_names_the_step(tmp_path: Path) -> None:
    code, said = comply(saved(tmp_path, "0666"), POLICY)
    assert code == 1, said
    assert "mode property in web/files/page@here resource" in said
    assert "It is set to 0666" in said


FAILS = {"hostile": "does not have mode property"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_sort_of_plan_is_read(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(line(plan_document(case.plan())))
    code, said = comply(path, POLICY)
    assert (code == 1) == (case.name in FAILS), said
    assert FAILS.get(case.name, "finished") in said
    assert "Traceback" not in said
    assert json.loads(path.read_text())["format_version"] == "1.2"
