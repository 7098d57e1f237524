"""The endpoint as an address that two load balancers keep between them, of which one may fail."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ROLES = {"cp1": "control-plane", "w1": "worker", "lb1": "load-balancer", "lb2": "load-balancer"}


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster(ROLES)
    network = made.machines["cp1"].address.rpartition(".")[0]
    made.consist_of(*ROLES, endpoint={"host": "k8s.test", "virtualIP": {"address": f"{network}.200"}})
    return made


@pytest.fixture(scope="module")
def virtual_ip(project: ClusterProject) -> str:
    """A free address in the network of the hosts."""
    return str(project.spec["endpoint"]["virtualIP"]["address"])


@pytest.fixture(scope="module")
def holders(hosts: dict[str, Host], virtual_ip: str) -> Callable[[], list[str]]:
    """Which load balancers have the address now; those that are off have nothing."""

    def holding() -> list[str]:
        shown = "ip -4 -o address show"
        return [
            name for name in ("lb1", "lb2") if f" {virtual_ip}/" in hosts[name].run(shown, timeout=20).stdout
        ]

    return holding


def test_an_address_that_is_taken_or_elsewhere_is_refused(
    project: ClusterProject, hosts: dict[str, Host], virtual_ip: str
) -> None:
    hosts["w1"].run(f"ip address add {virtual_ip}/24 dev eth0")
    code, text = project.plan_code()
    assert code == 1
    assert f"another machine has the address {virtual_ip} already" in text
    hosts["w1"].run(f"ip address del {virtual_ip}/24 dev eth0")
    for name in ("lb1", "lb2"):  # which remember their neighbours for half a minute
        hosts[name].run("ip neigh flush all")
    given = project.spec["endpoint"]
    elsewhere = {"virtualIP": {"address": "203.0.113.9", "interface": "bond7"}}
    project.describe(project.members, endpoint=elsewhere)
    code, text = project.plan_code()
    assert code == 1
    assert "203.0.113.9 is in no network of this host" in text
    assert "this host has no interface bond7" in text
    project.describe(project.members, endpoint=given)


def test_a_cluster_comes_up_through_the_address(
    project: ClusterProject, hosts: dict[str, Host], virtual_ip: str, holders: Callable[[], list[str]]
) -> None:
    project.apply(timeout=600)
    project.await_ready("cp1", "w1")
    assert "https://k8s.test:6443" in (hosts["w1"].read("/etc/kubernetes/kubelet.conf") or "")
    assert f"{virtual_ip} k8s.test" in " ".join((hosts["w1"].read("/etc/hosts") or "").split())
    assert len(holders()) == 1
    project.assert_empty_plan()


def test_it_moves_when_haproxy_stops_and_stays_when_it_is_back(
    project: ClusterProject, hosts: dict[str, Host], holders: Callable[[], list[str]]
) -> None:
    [first] = holders()
    [second] = {"lb1", "lb2"} - {first}
    hosts[first].run("systemctl stop haproxy")
    becomes(holders, [second])
    through_the_endpoint(hosts)
    code, text = project.plan_code()
    assert code == 2
    assert f"demo-endpoint/haproxy/service@{first}" in text
    project.apply()
    project.assert_empty_plan()
    assert holders() == [second]


def test_it_moves_when_a_load_balancer_loses_power(
    project: ClusterProject, hosts: dict[str, Host], holders: Callable[[], list[str]], virtual_ip: str
) -> None:
    [first] = holders()
    [second] = {"lb1", "lb2"} - {first}
    hosts[first].crash()
    shown = "ip -4 -o address show"
    becomes(lambda: [second] if f" {virtual_ip}/" in hosts[second].run(shown).stdout else [], [second])
    through_the_endpoint(hosts)
    hosts[first].start()
    hosts[first].wait_ready()
    project.assert_empty_plan()
    assert holders() == [second]


def test_a_keepalived_that_stopped_is_named_and_repaired(
    project: ClusterProject, hosts: dict[str, Host], holders: Callable[[], list[str]]
) -> None:
    hosts["lb1"].run("systemctl stop keepalived")
    becomes(holders, ["lb2"])
    code, text = project.plan_code()
    assert code == 2
    assert "demo-endpoint/keepalived/service@lb1" in text
    assert text.count("will be updated in-place") == 1
    project.apply()
    project.assert_empty_plan()


def test_a_load_balancer_that_leaves_hands_the_address_over(
    project: ClusterProject, hosts: dict[str, Host], holders: Callable[[], list[str]]
) -> None:
    [first] = holders()
    [second] = {"lb1", "lb2"} - {first}
    everybody = dict(project.members)
    project.describe({name: member for name, member in everybody.items() if name != first})
    project.apply("--allow-destroy", first)
    becomes(holders, [second])
    through_the_endpoint(hosts)
    project.assert_empty_plan()
    states = hosts[first].run("systemctl is-active keepalived haproxy").stdout.split()
    assert states == ["inactive", "inactive"]


def through_the_endpoint(hosts: dict[str, Host]) -> None:
    """A worker's kubelet reaches the API by the endpoint's name."""
    command = "KUBECONFIG=/etc/kubernetes/kubelet.conf kubectl --cache-dir /dev/null/no get --raw /readyz"
    done = hosts["w1"].run(f"timeout 60 sh -c 'until {command}; do sleep 1; done'", timeout=70)
    assert done.stdout.endswith("ok"), done.stderr


def becomes(found: Callable[[], list[str]], wanted: list[str]) -> None:
    """Wait until it is so: a few seconds of VRRP, on machines that may be slow."""
    deadline = time.monotonic() + 60
    while found() != wanted:
        assert time.monotonic() < deadline, f"{found()} instead of {wanted}"
        time.sleep(0.5)
