"""examples/ci against the published schemas, and its pre-commit hook as pre-commit runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.review import MISSING, PROGRAMS, ROOT
from tests.unit.cli.test_program import INVENTORY, PIPELINE

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

CI = ROOT / "examples" / "ci"


def checked(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("schema", "name", "wrong"),
    [
        ("vendor.github-workflows", "github/kubexms.yaml", ("runs-on:", "runs_on:")),
        ("vendor.gitlab-ci", "gitlab/gitlab-ci.yml", ("script:", "skript:")),
    ],
)
def test_pipelines_are_what_their_schemas_say(
    schema: str, name: str, wrong: tuple[str, str], tmp_path: Path
) -> None:
    done = checked(schema, CI / name)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / Path(name).name
    broken.write_text((CI / name).read_text().replace(*wrong))
    assert checked(schema, broken).returncode == 1


def test_the_hook_lets_pass_what_is_valid_and_nothing_else(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "infra").mkdir(parents=True)
    shutil.copy(CI / "pre-commit" / "pre-commit-config.yaml", repository / ".pre-commit-config.yaml")
    (repository / "infra" / "inventory.yaml").write_text(INVENTORY)
    pipeline = repository / "infra" / "pipeline.yaml"
    pipeline.write_text(PIPELINE)
    (repository / "infra" / "vars.yaml").write_text("target: /tmp/x\n")
    (repository / "infra" / "project.yaml").write_text(
        "apiVersion: kubexms.io/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {varFiles: [vars.yaml]}\n"
    )
    environ = {
        "PATH": f"{PROGRAMS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PRE_COMMIT_HOME": str(tmp_path / "cache"),
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=repository, env=environ, capture_output=True, text=True)

    assert run("git", "init", "-q").returncode == 0
    assert run("git", "add", "-A").returncode == 0
    hook = run("pre-commit", "run", "--all-files")
    assert hook.returncode == 0, hook.stdout + hook.stderr
    assert "kubexms validate" in hook.stdout

    pipeline.write_text(PIPELINE.replace("mode:", "mod:"))
    run("git", "add", "-A")
    hook = run("pre-commit", "run")
    assert hook.returncode == 1
    assert "infra/pipeline.yaml" in hook.stdout
    assert "unknown field 'mod'" in hook.stdout

    (repository / "README").write_text("not a document")
    run("git", "add", "-A")
    assert "(no files to check)Skipped" in run("pre-commit", "run", "--files", "README").stdout
