"""An endpoint that changes: who is asked whether it may, and who waits for whom."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubexms.builder.floating import CONFIG as KEEPALIVED
from kubexms.builder.rotation import HAPROXY, KUBELET_CONF
from kubexms.spec.base import Json
from kubexms.spec.pipeline import PipelineSpec, StepSpec, TaskSpec, WaitScope
from tests.unit.builder.clusters import cluster, host, hosts, load

NAMED: dict[str, Json] = {"host": "k8s.example.com"}
VIRTUAL: dict[str, Json] = {"host": "k8s.example.com", "virtualIP": {"address": "10.0.0.100"}}
ADDRESS = "127.0.0.9"
CONF = "clusters:\n- cluster:\n    server: https://{server}\n"


def built(tmp_path: Path, **spec: Json) -> PipelineSpec:
    return load(tmp_path, cluster(**spec)).pipeline


def tasks(pipeline: PipelineSpec, module: str) -> dict[str, TaskSpec]:
    [found] = [item for item in pipeline.modules if item.name == module]
    return {task.name: task for task in found.tasks}


def step(pipeline: PipelineSpec, path: str) -> StepSpec | None:
    module, task, name = path.split("/")
    found = tasks(pipeline, module).get(task)
    return next((item for item in found.steps if item.name == name), None) if found else None


def holds(pipeline: PipelineSpec, path: str, **files: Path) -> bool:
    """Whether a check succeeds with these files in the places of the host's own."""
    found = step(pipeline, path)
    assert found is not None
    text = str(found.args.get("check") or found.args["command"])
    for place, name in (
        (KUBELET_CONF, "conf"),
        (HAPROXY, "haproxy"),
        (KEEPALIVED, "keepalived"),
        ("/etc/hosts", "hosts"),
    ):
        text = text.replace(place, str(files.get(name, "/nonexistent/file")))
    return subprocess.run(["sh", "-c", text], capture_output=True, timeout=60).returncode == 0


def test_each_waits_for_all_before(tmp_path: Path) -> None:
    found = tasks(built(tmp_path, hosts=hosts(3, 2, 1), endpoint=NAMED), "demo-clients")
    assert list(found) == ["planes", "workers", "published", "retired"]
    for before, after in zip(list(found.values())[:-1], list(found.values())[1:], strict=True):
        [wait] = after.depends_on or ()
        assert (wait.task, wait.scope) == (before.name, WaitScope.ALL)
        assert before.strategy.require_all is (before.name != "workers")
    assert found["retired"].steps[0].args["clients"] == ["cp1", "cp2", "cp3", "w1", "w2"]


def test_a_node_has_its_endpoint_before_it_asks_for_its_routes(tmp_path: Path) -> None:
    """Where nothing answers at the former one any more, it would ask in vain."""
    bridge = tasks(built(tmp_path), "demo-network")["bridge"]
    assert [(item.task, item.scope) for item in bridge.depends_on or ()] == [
        ("demo-clients/planes", WaitScope.HOST),
        ("demo-clients/workers", WaitScope.HOST),
    ]
    alone = built(
        tmp_path, hosts=hosts(1, 0), kubernetes={"version": "1.29.0", "schedulableControlPlanes": True}
    )
    [planes] = tasks(alone, "demo-network")["bridge"].depends_on or ()
    assert planes.task == "demo-clients/planes"


def test_the_load_balancer_is_there_before_the_names(tmp_path: Path) -> None:
    pipeline = built(tmp_path, hosts=hosts(1, 1, 1), endpoint=NAMED)
    after = {module.name: module.depends_on for module in pipeline.modules}
    assert after["demo-endpoint"] == ("demo-preflight",)
    wait = step(pipeline, "demo-os/names/endpoint")
    assert wait is not None
    # a host that is both does not wait for itself
    assert wait.depends_on == ("demo-endpoint/haproxy/service",)


def test_without_a_name_in_the_hosts_files_nobody_waits(tmp_path: Path) -> None:
    assert step(built(tmp_path, hosts=hosts(1, 1, 1)), "demo-os/names/endpoint") is None


@pytest.mark.parametrize(
    ("conf", "names", "waits"),
    [
        (False, "10.0.0.11 cp1 k8s.example.com\n", False),
        (True, "10.0.0.11 cp1\n", False),
        (True, "10.0.0.31 lb1 k8s.example.com\n", False),
        (True, "# 10.0.0.31 k8s.example.com\n10.0.0.11 cp1 k8s.example.com\n", True),
    ],
)
def test_a_name_moves_when_something_answers(tmp_path: Path, conf: bool, names: str, waits: bool) -> None:
    pipeline = built(tmp_path, hosts=hosts(1, 1, 1), endpoint=NAMED)
    (tmp_path / "hosts").write_text(names)
    files = {"hosts": tmp_path / "hosts"}
    if conf:
        (tmp_path / "conf").write_text(CONF)
        files["conf"] = tmp_path / "conf"
    found = step(pipeline, "demo-os/names/endpoint")
    assert found is not None
    # nothing takes connections at port 1 of this machine
    text = str(found.args["command"]).replace("knock 10.0.0.31 6443", "knock 127.0.0.1 1")
    for place, name in ((KUBELET_CONF, "conf"), ("/etc/hosts", "hosts")):
        text = text.replace(place, str(files.get(name, "/nonexistent/file")))
    done = subprocess.run(["sh", "-c", text], capture_output=True, timeout=60)
    assert (done.returncode != 0) is waits


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ({}, "for place in 10.0.0.11;"),
        ({"hosts": hosts(1, 1, 1)}, "for place in 10.0.0.31;"),
        ({"hosts": hosts(1, 1, 1), "endpoint": NAMED}, "for place in 10.0.0.31;"),
        ({"hosts": hosts(1, 1, 2), "endpoint": VIRTUAL}, "for place in 10.0.0.31 10.0.0.32;"),
        ({"endpoint": {"host": "127.0.0.1", "port": 1}}, "-connect 127.0.0.1:1 "),
        ({"endpoint": {"host": "k8s.example.com", "address": "10.9.9.9"}}, "-connect 10.9.9.9:6443 "),
        (
            {"endpoint": {"host": "k8s.example.com", "resolve": False}},
            "-connect k8s.example.com:6443 ",
        ),
    ],
)
def test_who_is_to_lead_here_is_asked_for(tmp_path: Path, spec: dict[str, Json], asked: str) -> None:
    pipeline = built(tmp_path, **spec)
    for path in ("demo-preflight/control-plane/endpoint", "demo-preflight/worker/endpoint"):
        found = step(pipeline, path)
        assert found is not None
        assert asked in str(found.args["check"])


def test_a_host_of_the_cluster_must_be_reached(tmp_path: Path) -> None:
    pipeline = built(
        tmp_path, hosts=[*hosts(1, 1), host("lb1", "load-balancer", ADDRESS)], endpoint={"port": 1}
    )
    conf = tmp_path / "conf"
    conf.write_text(CONF.format(server="10.0.0.11:6443"))
    path = "demo-preflight/worker/endpoint"
    assert holds(pipeline, path, conf=conf), "refused is an answer"
    found = step(pipeline, path)
    assert found is not None
    # a name that nobody has stands for an address that there is no way to
    text = str(found.args["check"]).replace(KUBELET_CONF, str(conf)).replace(ADDRESS, "nowhere.invalid")
    assert subprocess.run(["sh", "-c", text], capture_output=True, timeout=60).returncode == 1


def test_an_endpoint_of_others_must_answer_those_who_do_not_go_by_it_yet(tmp_path: Path) -> None:
    pipeline = built(tmp_path, endpoint={"host": "127.0.0.1", "port": 1})
    path = "demo-preflight/worker/endpoint"
    conf = tmp_path / "conf"
    assert holds(pipeline, path), "no node yet"
    conf.write_text(CONF.format(server="127.0.0.1:1"))
    assert holds(pipeline, path, conf=conf), "it goes by it already"
    conf.write_text(CONF.format(server="10.0.0.11:6443"))
    assert not holds(pipeline, path, conf=conf)


def test_a_name_of_others_that_gets_another_address(tmp_path: Path) -> None:
    pipeline = built(tmp_path, endpoint={"host": "k8s.example.com", "address": "127.0.0.1", "port": 1})
    conf, names = tmp_path / "conf", tmp_path / "hosts"
    conf.write_text(CONF.format(server="k8s.example.com:1"))
    names.write_text("127.0.0.1 k8s.example.com\n")
    assert holds(pipeline, "demo-preflight/worker/endpoint", conf=conf, hosts=names)
    names.write_text("127.0.0.9 k8s.example.com\n")
    assert not holds(pipeline, "demo-preflight/worker/endpoint", conf=conf, hosts=names)


def test_load_balancers_go_on_with_what_nodes_use(tmp_path: Path) -> None:
    pipeline = built(tmp_path, hosts=hosts(1, 1, 2), endpoint=VIRTUAL)
    haproxy, keepalived = tmp_path / "haproxy.cfg", tmp_path / "keepalived.conf"
    port, address = "demo-preflight/load-balancer/port-in-use", "demo-preflight/load-balancer/address-in-use"
    assert holds(pipeline, port)
    assert holds(pipeline, address)
    haproxy.write_text("listen kubernetes\n    bind *:6443\n")
    keepalived.write_text("vrrp_instance endpoint {\n        10.0.0.100/32 dev eth0\n}\n")
    assert holds(pipeline, port, haproxy=haproxy)
    assert holds(pipeline, address, keepalived=keepalived)
    # somebody else's configurations are nobody's endpoint
    haproxy.write_text("listen other\n    bind *:8443\n")
    keepalived.write_text("vrrp_instance other {\n        10.0.0.9/32 dev eth0\n}\n")
    assert holds(pipeline, port, haproxy=haproxy)
    assert holds(pipeline, address, keepalived=keepalived)
    haproxy.write_text("listen kubernetes\n    bind *:8443\n")
    keepalived.write_text("vrrp_instance endpoint {\n        10.0.0.10/32 dev eth0\n}\n")
    assert not holds(pipeline, port, haproxy=haproxy)
    assert not holds(pipeline, address, keepalived=keepalived)
