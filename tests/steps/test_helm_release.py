"""`helmRelease` with a chart of the controller."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.kinds._manifest.helm import CLAIMS
from kubexms.step.kinds.helm_release import HelmReleaseExecutor, HelmReleaseSpec
from kubexms.step.observation import Observation

KIND = HelmReleaseExecutor()
CREATE = ChangeRequest(ActionKind.CREATE, Observation.absent())


def chart(path: Path, described: str = "apiVersion: v2\nname: web\nversion: 0.2.0\n") -> HelmReleaseSpec:
    """A release of a packaged chart, which has a chart of its own that it depends on."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (
            ("web/charts/db/Chart.yaml", "name: db\nversion: 9.9.9\n"),
            ("web/Chart.yaml", described),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    content = path.read_bytes()
    asset = {"path": str(path), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return HelmReleaseSpec.from_json({"release": "shop", "chart": asset, "values": {"password": "secret"}})


def test_a_chart_is_called_as_helm_calls_it(tmp_path: Path) -> None:
    desired = KIND.desired(chart(tmp_path / "a.tgz"))
    assert desired is not None
    assert desired["chart"] == "web-0.2.0"


@pytest.mark.parametrize(
    "described", ["name: web\n", "a: [b", "web"], ids=["no version", "no yaml", "no mapping"]
)
def test_a_chart_that_does_not_say_is_called_as_its_file(described: str, tmp_path: Path) -> None:
    desired = KIND.desired(chart(tmp_path / "b.tgz", described))
    assert desired is not None
    assert desired["chart"] == "b.tgz"


def test_chart_and_values_travel_as_payloads(tmp_path: Path) -> None:
    spec = chart(tmp_path / "c.tgz")
    action = KIND.action(spec, CREATE)
    assert action.payloads["chart"].path == tmp_path / "c.tgz"
    values = action.payloads["values"]
    assert values.data is not None
    assert json.loads(values.data) == {"password": "secret"}
    assert values.sensitive
    assert "secret" not in action.script
    assert (
        f"description='kubexms chart sha256:{hashlib.sha256((tmp_path / 'c.tgz').read_bytes()).hexdigest()}'"
        in (action.script)
    )


def test_nobody_waits_if_nobody_is_to(tmp_path: Path) -> None:
    spec = chart(tmp_path / "d.tgz")
    assert "wait=--wait\n" in KIND.action(spec, CREATE).script
    assert "wait=\n" in KIND.action(spec.model_copy(update={"wait_seconds": 0}), CREATE).script


MANIFEST = """\
---
# Source: shop/claims.yaml
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
---
kind: PersistentVolumeClaim
metadata:
  name: kept
  annotations:
    helm.sh/resource-policy: keep
---
kind: StatefulSet
metadata:
  name: db
spec:
  volumeClaimTemplates:
    - metadata:
        name: of-the-set
---
kind: "PersistentVolumeClaim"
metadata:
  labels: {app: shop}
  name: logs
"""


def test_claims_that_go_with_a_release_are_found_but_for_those_that_stay() -> None:
    """A chart may keep one; those of a StatefulSet stay anyway."""
    done = subprocess.run(["awk", CLAIMS], input=MANIFEST, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["data", "logs"]
