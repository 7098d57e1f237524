"""The kind `helmRelease`: a chart that helm has installed in a cluster."""

from __future__ import annotations

import functools
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

import yaml
from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.spec.asset import ASSET, Asset
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption, OneByOne, StepArgs
from kubexms.step.kinds._manifest.differences import differences, shown
from kubexms.step.kinds._manifest.helm import (
    NO_CLUSTER,
    NO_HELM,
    NO_RELEASE,
    applying,
    asking,
    removing,
)
from kubexms.step.observation import Attributes, Observation, Presence

_OURS = "kubexms chart "
_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"


class HelmReleaseSpec(StepArgs):
    """A release of helm 3: a chart from a file of the controller, with these values. helm is on the host.

    Compared are the chart's name, version and digest, the values that were given, whether the release is
    deployed, and its objects with what it made them to be. A release that has failed, or that helm was cut
    off at, is recovered. Removing the step uninstalls it; the definitions of kinds that a chart has in its
    `crds` and the namespace stay, as helm leaves them. The step runs on a control plane (`runOnce`).
    """

    release: str = Field(pattern=_NAME, max_length=53)
    """Its name."""
    namespace: str = Field(default="default", pattern=_NAME, max_length=63)
    """Where it is; made if it is not there."""
    chart: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """The packaged chart (`.tgz`, as `helm package` and `helm pull` give it), relative to this document."""
    values: dict[str, JsonValue] = Field(default_factory=dict)
    """What is given in place of the chart's own values."""
    wait_seconds: int = Field(default=300, ge=0, le=3600)
    """How long the objects may take until they are ready, else the release has failed. 0: nobody waits."""
    state: Literal["present", "absent"] = "present"
    """`absent` uninstalls it."""

    @model_validator(mode="after")
    def _chart_given(self) -> Self:
        if self.state == "present" and self.chart is None:
            raise PydanticCustomError("helm_chart", "give 'chart'")
        return self


class HelmReleaseExecutor(OneByOne[HelmReleaseSpec]):
    """See `HelmReleaseSpec`."""

    kind: ClassVar[str] = "helmRelease"
    spec: ClassVar[type[StepArgs]] = HelmReleaseSpec
    identity: ClassVar[tuple[str, ...]] = ("release", "namespace")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "release": (),
        "namespace": (),
        "chart": ("chart", "digest"),
        "values": ("values", "objects", "content"),  # a text that was made of secrets shows no lines either
        "wait_seconds": (),
        "state": (),
    }
    example: ClassVar[str] = """\
- name: podinfo
  kind: helmRelease
  runOnce: true
  release: podinfo
  namespace: shop
  chart: charts/podinfo-6.7.1.tgz
  values: {replicaCount: 2}
"""

    def ask(self, spec: HelmReleaseSpec) -> str:
        return asking(spec.release, spec.namespace)

    def observe(self, spec: HelmReleaseSpec, record: Record) -> Observation:
        """Absent also where there is no cluster yet, or no helm."""
        text = record.text.decode("utf-8", "replace")
        if record.status in (NO_CLUSTER, NO_HELM, NO_RELEASE):
            return Observation.absent()
        told = dict(line.split(" ", 1) for line in text.splitlines()[:3] if " " in line)
        try:
            last = json.loads(told["history"])[-1]
            given = json.loads(told["values"]) or {}
        except (KeyError, ValueError, IndexError, TypeError):
            return Observation.unknown(f"helm does not say: {text.strip() or 'no reason given'}")
        status, said = str(last.get("status", "")), str(last.get("description", ""))
        states: dict[str, JsonValue] = {}
        before, after = [], []
        for file, lines in differences(text).items():
            states[shown(file)] = "missing" if "new" in lines else "differs"
            before += [f"# {shown(file)}", *(line[1:] for line in lines if line.startswith("-"))]
            after += [f"# {shown(file)}", *(line[1:] for line in lines if line.startswith("+"))]
        extra: dict[str, JsonValue] = {"revision": last.get("revision")}
        if "claims" in told:
            extra["claims"] = list[JsonValue](told["claims"].split())
        if before:
            extra |= {"content": "\n".join(before) + "\n", "wanted": "\n".join(after) + "\n"}
        if status != "deployed":
            extra["notes"] = [_why(status, said)]
        return Observation.present(
            {
                "status": status,
                "chart": str(last.get("chart", "")),
                "digest": said.removeprefix(_OURS) if said.startswith(_OURS) else "not known",
                "values": _compared(spec.values, given if isinstance(given, dict) else {}),
                "objects": states,
            },
            extra,
        )

    def desired(self, spec: HelmReleaseSpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        digest = f"sha256:{spec.chart.sha256}" if isinstance(spec.chart, Asset) else ""
        return {
            "status": "deployed",
            "chart": _called(spec.chart.path) if isinstance(spec.chart, Asset) else "",
            "digest": digest,
            "values": dict(_flat(spec.values)),
            "objects": {},
        }

    def disruption(self, spec: HelmReleaseSpec, request: ChangeRequest) -> Disruption:
        """The volumes that a chart claims go with its release, unless it says that they are to be kept."""
        loses = request.action is ActionKind.DELETE and bool(request.before.extra.get("claims"))
        return Disruption.DATA_LOSS if loses else Disruption.NONE

    def action(self, spec: HelmReleaseSpec, request: ChangeRequest) -> Action:
        if request.action is ActionKind.DELETE:
            return self._removal(spec)
        payloads = {"values": Payload(data=json.dumps(spec.values).encode(), sensitive=True)}
        sha256 = ""
        if isinstance(spec.chart, Asset):
            payloads["chart"] = Payload(path=Path(spec.chart.path), size=spec.chart.size)
            sha256 = spec.chart.sha256
        script = applying(spec.release, spec.namespace, sha256, f"{_OURS}sha256:{sha256}", spec.wait_seconds)
        return Action(script, payloads, timeout=2.0 * (spec.wait_seconds or 300) + 60.0)

    def undo(self, spec: HelmReleaseSpec, prior: Observation) -> Action | None:
        """Not of a release that was there before: nobody keeps what it was."""
        return None if prior.presence is Presence.PRESENT else self._removal(spec)

    def summary(self, spec: HelmReleaseSpec) -> str:
        """Namespace and name."""
        return f"{spec.namespace}/{spec.release}"

    def _removal(self, spec: HelmReleaseSpec) -> Action:
        script = removing(spec.release, spec.namespace, spec.wait_seconds)
        return Action(script, timeout=(spec.wait_seconds or 300) + 60.0)


def _why(status: str, said: str) -> str:
    if status.startswith("pending-"):
        return f"it is {status}: helm was cut off, or is at work elsewhere"
    return f"it is {status}: {said[:300]}" if said and not said.startswith(_OURS) else f"it is {status}"


def _compared(wanted: Mapping[str, JsonValue], given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What was given, as far as the document says the same; no value that it does not know is told."""
    known = dict(_flat(wanted))
    return {
        path: value if path in known and known[path] == value
        else "another value" if path in known else "not specified"
        for path, value in _flat(given)
    }  # fmt: skip


def _flat(values: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@functools.lru_cache(maxsize=64)
def _called(path: str) -> str:
    """Name and version of a packaged chart, as helm tells them; the file's name where it says neither."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.isfile() and member.name.count("/") == 1 and member.name.endswith("/Chart.yaml"):
                    stream = archive.extractfile(member)
                    found = yaml.safe_load(stream.read()) if stream is not None else {}
                    return f"{found['name']}-{found['version']}"
    except (OSError, tarfile.TarError, yaml.YAMLError, KeyError, TypeError):
        pass
    return Path(path).name


__all__ = ["HelmReleaseExecutor", "HelmReleaseSpec"]
