"""Nothing flickers: after an apply of every kind the plan is empty, and drift silent, a thousand times."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import FreshHost
from tests.e2e.projects import ProjectDirectory
from tests.e2e.test_every_kind import CASES, assets

ROUNDS = 1000
BATCH = 100
EXEMPT = {"hostname": "a second name confuses sudo"}
DISTURB = """
set -e
cd /etc
for f in issue profile hosts fstab "kt/f i'le" /opt/blob systemd/system/kt.service; do
    cp -p "$f" "$f.new"; mv "$f.new" "$f"
    touch "$f"
done
touch -d '1 hour ago' /srv/a/b/c /opt/tree /opt/made
systemctl daemon-reload
logger hello
"""
"""New inodes, new times, the same contents: none of that is a change."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_plan_after_an_apply_is_empty_a_thousand_times(tmp_path: Path, fresh_host: FreshHost) -> None:
    host = fresh_host()
    assets(tmp_path)
    cases = {name: case for name, case in CASES.items() if name not in EXEMPT}
    for case in cases.values():
        host.run(case.before, check=True)
    steps = [
        {**step, "name": f"{name}-{step['name']}", **watching(name, step)}
        for name, case in cases.items()
        for step in case.steps
    ]
    project = ProjectDirectory(tmp_path, fresh_host.fleet, [host])
    project.pipeline(*steps)
    project.apply()
    for number in range(ROUNDS // BATCH):
        done = fresh_host.fleet.exec(
            [sys.executable, "-m", "tests.e2e.plans", str(tmp_path), str(BATCH)],
            cwd=Path.cwd(),
            env={"CI": "", "PYTHONPATH": str(Path.cwd())},
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [], f"batch {number}"
        host.run(DISTURB, check=True)


def watching(name: str, step: dict[str, object]) -> dict[str, object]:
    """The names of watched steps, which are renamed too."""
    watched = step.get("restartOn")
    return {"restartOn": [f"{name}-{other}" for other in watched]} if isinstance(watched, list) else {}
