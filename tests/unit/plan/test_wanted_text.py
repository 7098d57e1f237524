"""Line diffs of what a host itself says that it would become; none of what was made of secrets."""

from __future__ import annotations

from kubexms.plan.conceal import Concealer
from kubexms.plan.decide import Evidence, decide
from kubexms.plan.model import Change, TextDiff
from kubexms.plan.rendered import Instance, Rendered
from kubexms.spec.address import Address
from kubexms.spec.pipeline import StepSpec
from kubexms.step.kinds.manifest import ManifestExecutor, ManifestSpec
from kubexms.step.observation import Observation

TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def change(*, sensitive: bool) -> Change:
    rendered = Rendered(
        ManifestExecutor(),
        ManifestSpec(manifest=TEXT),
        sensitive=frozenset({"manifest"} if sensitive else ()),
    )
    step = StepSpec.model_construct(name="s", kind="manifest", args={})
    seen = Observation.present(
        {"objects": {"ConfigMap a": "differs"}},
        {"content": "# ConfigMap a\nx: 1\n", "wanted": "# ConfigMap a\nx: 2\n"},
    )
    instance = Instance(Address("m", "t", "s", "h"), step, rendered, 0)
    return decide(Evidence(instance, seen, None, None, "machine", (), {}, {}), Concealer(b"k" * 32))


def test_both_sides_come_from_the_host() -> None:
    shown = change(sensitive=False)
    assert shown.text == {"content": TextDiff(before="# ConfigMap a\nx: 1\n", after="# ConfigMap a\nx: 2\n")}
    assert shown.summary == "ConfigMap a"


def test_what_was_made_of_secrets_shows_no_line() -> None:
    shown = change(sensitive=True)
    assert shown.text == {}
    assert shown.summary == ""
    assert "x: " not in shown.model_dump_json()
