"""etcd on hosts of its own: what they and the control planes get, in golden files, and what follows."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from kubexms.config.project import LoadedProject
from kubexms.config.template import TemplateEngine
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.spec.base import Json
from kubexms.spec.pipeline import StepSpec
from kubexms.step.registry import default_registry
from tests.unit.builder.clusters import (
    assert_kinds_take_every_step,
    cluster,
    golden,
    host,
    hosts,
    load,
    steps_of,
)

ZERO = "0" * 64
EMPTY = hashlib.sha256().hexdigest()
ETCD1 = {"host": {"name": "etcd1", "vars": {}, "address": "10.0.0.41"}}
MEMBERS = [host(f"etcd{i}", "etcd", f"10.0.0.{40 + i}") for i in (1, 2, 3)]
PROGRAMS = ("etcd", "etcdctl")


def built(
    tmp_path: Path, *, members: int = 3, programs: tuple[str, ...] = PROGRAMS, **spec: Json
) -> LoadedProject:
    entries: list[Json] = [
        {"name": name, "kind": "binary", "version": "v3.5.9", "arch": "amd64", "file": name, "sha256": ZERO}
        for name in programs
    ]
    (tmp_path / "files").mkdir(exist_ok=True)
    manifest: dict[str, Json] = {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Artifacts",
        "metadata": {"name": "files"},
        "spec": {"entries": entries},
    }
    (tmp_path / "files/artifacts.yaml").write_text(dump_yaml(manifest))
    for name in programs:
        (tmp_path / "files" / name).write_text("")
    etcd = spec.pop("etcd", {})
    assert isinstance(etcd, dict)
    given: dict[str, Json] = {
        "artifacts": "files",
        "kubernetes": {"version": "1.31.4", "source": "packages"},
        "containerRuntime": {"source": "packages"},
        "hosts": [*hosts(1, 1), *MEMBERS[:members]],
        "etcd": {"type": "external", **etcd},
    }
    return load(tmp_path, cluster(**{**given, **spec}))


def step(loaded: LoadedProject, address: str) -> StepSpec:
    return steps_of(loaded)[address]


def text(tmp_path: Path, loaded: LoadedProject, address: str) -> str:
    """The content of a step as it is on etcd1."""
    return str(TemplateEngine(tmp_path).render(step(loaded, address).args["content"], ETCD1).value)


def test_every_step_is_one_that_its_kind_takes(tmp_path: Path) -> None:
    assert_kinds_take_every_step(built(tmp_path, etcd={"backup": {"keep": 3}}))


def test_addresses_are_public(tmp_path: Path) -> None:
    names = [
        f"{module.name}/{task.name}/{one.name} {' '.join(task.run_on_roles)}"
        for module in built(tmp_path, etcd={"backup": {"keep": 3}}).pipeline.modules
        for task in module.tasks
        for one in task.steps
    ]
    golden("addresses-external-etcd.txt", "\n".join(names) + "\n")


def test_the_unit(tmp_path: Path) -> None:
    loaded = built(tmp_path, etcd={"extraArgs": {"heartbeat-interval": "500"}})
    golden("unit-external-etcd.txt", text(tmp_path, loaded, "demo-etcd/member/unit"))


def test_members_that_come_change_no_unit_and_what_the_api_servers_ask(tmp_path: Path) -> None:
    one, three = built(tmp_path, members=1), built(tmp_path)
    unit = "demo-etcd/member/unit"
    assert text(tmp_path, one, unit) == text(tmp_path, three, unit)
    assert step(three, "demo-etcd/member/member").args["members"] == {
        "etcd1": "10.0.0.41",
        "etcd2": "10.0.0.42",
        "etcd3": "10.0.0.43",
    }
    asked = []
    for loaded in (one, three):
        config = str(step(loaded, "demo-control-plane/components/manifests").args["config"])
        rendered = str(TemplateEngine(tmp_path).render(config, ETCD1).value)
        [found] = [item for item in yaml.safe_load_all(rendered) if item["kind"] == "ClusterConfiguration"]
        asked.append(found["etcd"])
    files = {
        "caFile": "/etc/etcd/ca.crt",
        "certFile": "/etc/etcd/apiserver-etcd-client.crt",
        "keyFile": "/etc/etcd/apiserver-etcd-client.key",
    }
    urls = [f"https://10.0.0.{number}:2379" for number in (41, 42, 43)]
    assert asked == [
        {"external": {"endpoints": urls[:1], **files}},
        {"external": {"endpoints": urls, **files}},
    ]


def test_the_key_of_the_authority_stays_with_etcd(tmp_path: Path) -> None:
    loaded = built(tmp_path)
    names = ["etcd1", "etcd2", "etcd3"]
    for part, kept in (("etcd-authority", True), ("etcd-client", False)):
        authority = step(loaded, f"demo-pki/{part}/ca")
        assert (authority.args["withKey"], authority.args["holders"]) == (kept, names)
    assert step(loaded, "demo-pki/etcd-client/client").args["usages"] == ["client"]


def test_members_are_brought_up_and_changed_one_at_a_time_before_control_planes(tmp_path: Path) -> None:
    modules = {module.name: module for module in built(tmp_path).pipeline.modules}
    assert modules["demo-etcd"].strategy.max_parallel == 1
    assert modules["demo-etcd"].strategy.require_all
    assert "demo-etcd" in (modules["demo-control-plane"].depends_on or ())


def test_an_even_number_of_control_planes_is_none_of_etcds_business(tmp_path: Path) -> None:
    listed = [*hosts(2, 1, 1), *MEMBERS]
    assert built(tmp_path, hosts=listed).warnings == ()


def test_snapshots_are_taken_where_etcd_is(tmp_path: Path) -> None:
    loaded = built(tmp_path, etcd={"backup": {}})
    [module] = [module for module in loaded.pipeline.modules if module.name == "demo-backup"]
    assert module.tasks[0].run_on_roles == ("etcd",)
    assert "--cert /etc/etcd/member.crt" in str(step(loaded, "demo-backup/snapshots/script").args["content"])
    node = step(loaded, "demo-control-plane/member/node").args
    assert node["beforeUpgradeOn"] == ["etcd1", "etcd2", "etcd3"]
    assert "beforeUpgrade" not in step(built(tmp_path), "demo-control-plane/member/node").args


def test_a_lost_member_is_out_before_another_joins(tmp_path: Path) -> None:
    loaded = built(tmp_path, lostNodes=["etcd4"])
    [module] = [module for module in loaded.pipeline.modules if module.name == "demo-etcd"]
    assert [task.name for task in module.tasks] == ["lost", "member"]
    lost = step(loaded, "demo-etcd/lost/member")
    assert lost.run_once
    assert lost.args["state"] == "absent"
    assert lost.args["members"] == step(loaded, "demo-etcd/member/member").args["members"]
    registry = default_registry(plugins=False)
    registry.check_args(lost.kind, lost.args)


def test_programs_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        built(tmp_path, programs=("etcd",))
    assert "etcdctl" in caught.value.diagnostics[0].summary


def test_a_restore_stops_control_planes_before_etcd_and_starts_them_after_it(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"")
    loaded = built(tmp_path, etcd={"restore": {"snapshot": "s.db", "sha256": EMPTY}})
    assert_kinds_take_every_step(loaded)
    modules = {module.name: module for module in loaded.pipeline.modules}
    told = [(task.name, *task.run_on_roles) for task in modules["demo-restore"].tasks]
    assert told == [
        ("snapshot", "etcd"),
        ("stop", "control-plane"),
        ("halt", "etcd"),
        ("restore", "etcd"),
        ("etcd", "etcd"),
        ("serve", "control-plane"),
    ]
    assert modules["demo-restore"].strategy.require_all
    assert "demo-restore" in (modules["demo-etcd"].depends_on or ())
    halt = step(loaded, "demo-restore/halt/etcd").args
    assert halt["phase"] == "stop"
    assert halt["members"] == {f"etcd{number}": f"10.0.0.4{number}" for number in (1, 2, 3)}
    assert halt["servers"] == ["cp1"]
    assert step(loaded, "demo-restore/serve/etcd").args["workers"] == ["w1"]
