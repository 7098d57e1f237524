"""The pipelines of examples/ci, their shell run for real: plan, review, apply, and every refusal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.test_program import INVENTORY
from tests.unit.examples.forge import BOT, TOKEN, Forge, served
from tests.unit.examples.markdown import ROOT

CI = ROOT / "examples" / "ci"
API = "apiVersion: kubexms.io/v1alpha1\n"
PROJECT = """\
apiVersion: kubexms.io/v1alpha1
kind: Project
metadata: {{name: infra}}
spec: {{state: {{path: {volume}/state, allowLocalInCi: true}}}}
"""
PIPELINE = """\
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {{name: site}}
spec:
  modules:
    - name: m
      tasks:
        - name: t
          steps:
            - {{name: motd, kind: file, path: {target}, content: "{content}", mode: "0644"}}
"""


@dataclass
class Repository:
    """A clone with a project in `infra` and the example in `ci`, and a runner's volume beside it."""

    path: Path
    volume: Path
    forge: Forge
    environ: Mapping[str, str]

    @property
    def target(self) -> Path:
        """The file that the project manages."""
        return self.volume.parent / "motd"

    def commit(self, content: str, name: str = "pipeline.yaml") -> str:
        """Write the pipeline, commit; returns the commit."""
        text = PIPELINE.format(target=self.target, content=content)
        (self.path / "infra" / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", content)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        environ = dict(self.environ)
        return subprocess.run(
            command, cwd=self.path, env=environ, check=True, text=True, capture_output=True
        ).stdout

    def sh(self, script: str, directory: str = ".", **environ: str) -> subprocess.CompletedProcess[str]:
        """One step of a job, as runners run it."""
        return subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.path / directory,
            env={**self.environ, **environ},
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    path, volume = tmp_path / "clone", tmp_path / "volume"
    (path / "infra").mkdir(parents=True)
    shutil.copytree(CI, path / "ci")
    (path / "infra" / "inventory.yaml").write_text(INVENTORY)
    (path / "infra" / "project.yaml").write_text(PROJECT.format(volume=volume))
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "CI": "true",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "x"),
        **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "x@example.org"),
    }
    with served() as forge:
        made = Repository(path, volume, forge, environ)
        made.git("init", "-q", "-b", "main")
        made.git("config", "core.excludesFile", "/dev/null")
        yield made


def github(repository: Repository, job: str, event: str) -> subprocess.CompletedProcess[str]:
    """Run a job of the workflow; returns the last step, which is the first that fails."""
    workflow = yaml.safe_load((CI / "github/kubexms.yaml").read_text())
    (repository.volume.parent / "event.json").write_text(
        json.dumps({"action": event, "pull_request": {"number": 7}})
    )
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": repository.forge.url,
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_EVENT_PATH": str(repository.volume.parent / "event.json"),
        "GITHUB_WORKSPACE": str(repository.path),
        "GITHUB_STEP_SUMMARY": str(repository.volume.parent / "summary.md"),
        **workflow["env"],
        "KUBEXMS_PLANS": str(repository.volume / "plans"),
    }
    done = None
    for step in workflow["jobs"][job]["steps"]:
        if "run" in step:
            given = {
                name: value.replace("${{ github.token }}", TOKEN)
                for name, value in step.get("env", {}).items()
            }
            done = repository.sh(step["run"], **{**environ, **given})
            if done.returncode:
                break
    assert done is not None
    return done


def gitlab(repository: Repository, job: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a job of the pipeline; its lines are one script."""
    pipeline = yaml.safe_load((CI / "gitlab/gitlab-ci.yml").read_text())
    return repository.sh(
        "\n".join(pipeline[job]["script"]),
        GITLAB_CI="true",
        CI_API_V4_URL=repository.forge.url,
        CI_PROJECT_ID="5",
        CI_COMMIT_SHA=repository.git("rev-parse", "HEAD").strip(),
        GITLAB_TOKEN=TOKEN,
        **{**pipeline["variables"], "KUBEXMS_PLANS": str(repository.volume / "plans")},
        **environ,
    )


def test_github_plans_comments_in_place_and_applies_what_was_reviewed(repository: Repository) -> None:
    forge = repository.forge
    repository.commit("one")
    planned = github(repository, "plan", "opened")
    assert planned.returncode == 0, planned
    (comment,) = forge.bodies(BOT)
    assert comment.startswith("<!-- kubexms plan infra default -->\n")
    marker = comment.splitlines()[0]
    # whoever writes the marker, too, is neither overwritten nor believed
    forge.comments.insert(0, {})
    forge.comments.clear()
    forge.add("mallory", comment.replace("sha256:", "sha256:0"))
    forge.add("somebody", "Looks good.")
    forge.add(BOT, comment)
    forge.add("somebody", f"{marker}\nmine")

    repository.commit("two")
    assert github(repository, "plan", "synchronize").returncode == 0
    (again,) = forge.bodies(BOT)
    assert again != comment
    assert [len(forge.bodies(name)) for name in ("mallory", "somebody")] == [1, 2]
    assert not repository.target.exists()

    # merged by squashing: another commit, the same documents
    repository.git("commit", "-q", "--amend", "-m", "squashed")
    applied = github(repository, "apply", "closed")
    assert applied.returncode == 0, applied
    assert repository.target.read_text() == "two"
    repeated = github(repository, "apply", "closed")
    assert repeated.returncode == 1
    assert "a plan applies once" in repeated.stderr


def test_github_sees_annotations_and_a_summary(repository: Repository) -> None:
    repository.commit("one")
    environ = {"GITHUB_ACTIONS": "1", "KUBEXMS_PLANS": str(repository.volume / "plans")}
    done = repository.sh("sh ci/plan.sh infra", **environ, GITHUB_WORKSPACE=str(repository.path))
    assert "\n::notice file=infra/pipeline.yaml,line=10," in done.stdout
    assert github(repository, "plan", "opened").returncode == 0
    assert "**Plan: 1 to add" in (repository.volume.parent / "summary.md").read_text()


def test_a_stale_plan_is_refused_and_says_what_moved(repository: Repository) -> None:
    repository.commit("one")
    assert github(repository, "plan", "opened").returncode == 0
    repository.target.write_text("somebody")
    refused = github(repository, "apply", "closed")
    assert refused.returncode == 1
    assert "m/t/motd@here: observation moved" in refused.stderr
    assert repository.target.read_text() == "somebody"


def test_what_nobody_has_planned_or_reviewed_is_refused(repository: Repository) -> None:
    repository.commit("one")
    assert github(repository, "plan", "opened").returncode == 0
    repository.commit("something else that was merged before", "other.yaml")
    refused = github(repository, "apply", "closed")
    assert refused.returncode == 1
    assert "these documents have not been planned" in refused.stderr

    repository.git("reset", "-q", "--hard", "HEAD~")
    (comment,) = repository.forge.bodies(BOT)
    repository.forge.comments.clear()
    repository.forge.add("mallory", comment)
    refused = github(repository, "apply", "closed")
    assert refused.returncode == 1
    assert "nobody has reviewed one" in refused.stderr

    repository.forge.add(BOT, comment.replace("--digest sha256:", "--digest sha256:" + "0" * 64 + "#")[:-1])
    assert github(repository, "apply", "closed").returncode == 1
    changed = comment.replace(_digest(comment), "sha256:" + "0" * 64)
    repository.forge.comments[-1]["body"] = changed
    refused = github(repository, "apply", "closed")
    assert refused.returncode == 1
    assert "This is not the plan that was approved." in refused.stderr
    assert not repository.target.exists()


def _digest(comment: str) -> str:
    return "sha256:" + comment.rpartition("--digest sha256:")[2][:64]


def test_gitlab_plans_comments_in_place_reports_and_applies(repository: Repository) -> None:
    repository.commit("one")
    planned = gitlab(repository, "plan", CI_MERGE_REQUEST_IID="7")
    assert planned.returncode == 0, planned
    assert json.loads((repository.path / "plan.json").read_text()) == {"create": 1, "update": 0, "delete": 0}
    (first,) = repository.forge.bodies(BOT)
    repository.commit("two")
    assert gitlab(repository, "plan", CI_MERGE_REQUEST_IID="7").returncode == 0
    (second,) = repository.forge.bodies(BOT)
    assert first != second

    unmerged = gitlab(repository, "apply")
    assert unmerged.returncode == 1
    repository.forge.merged = repository.git("rev-parse", "HEAD").strip()
    applied = gitlab(repository, "apply")
    assert applied.returncode == 0, applied
    assert repository.target.read_text() == "two"


def test_atlantis_runs_plan_and_apply(repository: Repository, tmp_path: Path) -> None:
    repository.commit("one")
    config = yaml.safe_load((CI / "atlantis/atlantis.yaml").read_text())
    files = {"PLANFILE": str(tmp_path / "infra-default.tfplan"), "SHOWFILE": str(tmp_path / "show.json")}
    for stage in ("plan", "apply"):
        for step in config["workflows"]["kubexms"][stage]["steps"]:
            done = repository.sh(step["run"], config["projects"][0]["dir"], **files)
            assert done.returncode == 0, done
    assert json.loads((tmp_path / "show.json").read_text())["resource_changes"]
    assert repository.target.read_text() == "one"
    assert config["projects"][0]["workflow"] in config["workflows"]


def test_an_invalid_project_stops_every_pipeline(repository: Repository) -> None:
    repository.commit("one")
    (repository.path / "infra" / "pipeline.yaml").write_text(API + "kind: Nothing\n")
    for done in (
        github(repository, "plan", "opened"),
        gitlab(repository, "plan", CI_MERGE_REQUEST_IID="7"),
        repository.sh("kubexms validate", "infra"),
    ):
        assert done.returncode == 1
        assert "pipeline.yaml:2" in done.stderr
    assert repository.forge.comments == []


def test_jobs_and_pages_name_what_is_there() -> None:
    texts: dict[str, Any] = {path.name: path.read_text() for path in CI.rglob("*.y*ml")}
    assert len(texts) == 4
    for name in ("plan.sh", "apply.sh", "comment.py"):
        assert (CI / name).is_file()
        assert all(f"ci/{name}" in texts[file] for file in ("kubexms.yaml", "gitlab-ci.yml"))
