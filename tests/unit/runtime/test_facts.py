"""Facts, from what hosts say."""

from __future__ import annotations

import json

import pytest

from kubexms.runtime.connect import open_readonly
from kubexms.runtime.facts import FACTS, VOLATILE, lasting, parse_facts
from kubexms.runtime.owners import OWNERS, parse_owners
from kubexms.runtime.protocol import Record
from kubexms.runtime.target import HostTarget


def _record(**entries: str) -> Record:
    return Record(0, "".join(f"{k}={v}\n.\n" for k, v in entries.items()).encode())


def test_a_whole_host() -> None:
    addresses = (
        "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n"
        "2: eth0@if3    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\n"
        "2: eth0@if3    inet6 fe80::1/64 scope link\n"
        "2: eth0@if3    inet6 fd00::5/64 scope global"
    )
    facts = parse_facts(
        _record(
            machine="x86_64",
            kernel="6.1.0",
            hostname="n1",
            fqdn="n1.example.org",
            cpus="0-3,8",
            memory_kb="2097152",
            init="systemd",
            systemd="252.39-1~deb12u1.so",
            addresses=addresses,
            route4="default via 10.0.0.1 dev eth0 proto static\ndefault via 10.0.0.2 dev eth1 metric 5",
            links=" eth0,aa:bb lo,00:00",
            tools=" apt-get !dnf !yum sudo",
            uid="0",
            user="root",
            time="1700000000",
        )
    )
    assert (facts["arch"], facts["cpus"], facts["memory_mb"], facts["systemd"]) == ("amd64", 5, 2048, 252)
    assert facts["addresses"] == {"ipv4": ["10.0.0.5"], "ipv6": ["fd00::5"]}
    assert facts["default_ipv4"] == {"address": "10.0.0.5", "interface": "eth0", "gateway": "10.0.0.1"}
    assert facts["package_manager"] == "apt"
    assert facts["tools"] == {"apt-get": True, "dnf": False, "yum": False, "sudo": True}
    json.dumps(facts)


@pytest.mark.parametrize(
    ("told", "skew"),
    [(1000, 0), (1007, 0), (999, 0), (1012, 0), (1047, 40), (930, -70), (1700000000, 1699998990)],
)
def test_a_clock_is_wrong_by_more_than_asking_took(told: int, skew: int) -> None:
    facts = lasting({"time": told, "cpus": 2}, asked=1000.4, answered=1007.9)
    assert facts == {"cpus": 2, "clock_skew": skew}


def test_no_clock_no_skew() -> None:
    assert lasting({"cpus": 2}, 0.0, 1.0) == {"cpus": 2}


def test_operating_systems() -> None:
    text = {
        "os.ID": "rocky",
        "os.ID_LIKE": '"rhel centos fedora"',
        "os.VERSION_ID": '"9.3"',
        "os.NAME": '"R"',
    }
    record = Record(0, "".join(f"{k}={v}\n.\n" for k, v in text.items()).encode())
    os_facts = parse_facts(record)["os"]
    assert isinstance(os_facts, dict)
    assert os_facts["id_like"] == ["rhel", "centos", "fedora"]
    assert (os_facts["id"], os_facts["version_id"]) == ("rocky", "9.3")


def test_a_host_that_says_nothing() -> None:
    facts = parse_facts(Record(0, b""))
    assert (facts["init"], facts["package_manager"], facts["swap_mb"]) == ("none", "none", 0)
    assert parse_facts(Record(0, b"\xff\xfe=\n.\ncpus=x\n.\naddresses=1 2 inet x\n.\n"))["cpus"] == 0


def test_busybox_ifconfig() -> None:
    text = (
        "eth0      Link encap:Ethernet\n          inet addr:10.0.0.5  Bcast:10.0.0.255\n"
        "          inet6 addr: fd00::5/64 Scope:Global"
    )
    assert parse_facts(_record(ifconfig=text))["addresses"] == {"ipv4": ["10.0.0.5"], "ipv6": ["fd00::5"]}


def test_this_machine_and_nothing_volatile() -> None:
    connection = open_readonly(HostTarget("here", connection="local"))
    first, owners = connection.ask([FACTS, OWNERS], deadline=30.0).answers
    second = connection.ask([FACTS], deadline=30.0).answers[0]
    assert first.failure is owners.failure is None
    one, two = parse_facts(first.records[0]), parse_facts(second.records[0])
    assert {k: v for k, v in one.items() if k not in VOLATILE} == {
        k: v for k, v in two.items() if k not in VOLATILE
    }
    assert one["kernel"]
    assert one["shell"] in ("dash", "bash", "busybox", "sh")


def test_owners() -> None:
    record = Record(0, b"./ab12:line-1\n./cd34:line:2\n./ef.new:x\nnonsense\n")
    assert parse_owners(record) == {"ab12": "line-1", "cd34": "line:2"}
