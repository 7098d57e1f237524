"""A restore on several control planes: who takes part, what each must have reached, and when it refuses."""

from __future__ import annotations

import pytest

from kubexms.errors import StepError
from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.kinds.etcd_restore import EtcdRestoreExecutor, EtcdRestoreSpec, Phase
from kubexms.step.observation import Observation
from tests.steps.council import Host, done

KIND = EtcdRestoreExecutor()
MEMBERS = {"cp1": "192.0.2.11", "cp2": "192.0.2.12", "cp3": "192.0.2.13"}


def spec(phase: Phase) -> EtcdRestoreSpec:
    return EtcdRestoreSpec(
        phase=phase, snapshot="/s.db", sha256="a" * 64, members=MEMBERS, workers=("w1", "w2")
    )


def run(host: Host, phase: Phase) -> str:
    request = ChangeRequest(ActionKind.UPDATE, Observation.present({}))
    KIND.run(host, spec(phase), request)
    return host.log[0][1].script


def test_all_members_restore_as_one_new_cluster() -> None:
    host = Host("cp2", {"cp1": "stop", "cp3": "restore"})
    script = run(host, "restore")
    assert (
        "cluster=cp1=https://192.0.2.11:2380,cp2=https://192.0.2.12:2380,cp3=https://192.0.2.13:2380"
        in script
    )
    assert "name=cp2" in script
    assert "url=https://192.0.2.12:2380" in script


def test_a_host_that_is_no_member_yet_takes_no_part() -> None:
    script = run(Host("cp2", {"cp1": "stop", "cp3": "none"}), "restore")
    assert "cluster=cp1=https://192.0.2.11:2380,cp2=https://192.0.2.12:2380\n" in script


@pytest.mark.parametrize(("phase", "cp3"), [("restore", "none yet"), ("etcd", "stop"), ("serve", "restore")])
def test_nobody_goes_on_before_all_are_there(phase: Phase, cp3: str) -> None:
    host = Host("cp1", {"cp2": "etcd", "cp3": cp3})
    with pytest.raises(StepError, match="cp3 has not got through the phase"):
        run(host, phase)
    assert host.log == []


@pytest.mark.parametrize("phase", ["stop", "restore", "etcd", "serve"])
def test_a_member_that_does_not_answer_stops_it(phase: Phase) -> None:
    host = Host("cp1", {"cp2": None, "cp3": "etcd"})
    with pytest.raises(StepError, match="cp2 does not say whether it is stopped"):
        run(host, phase)
    assert host.log == []


def test_a_member_that_joined_afterwards_is_left_alone() -> None:
    host = Host("cp3", {"cp1": "serve", "cp2": "serve"})
    script = run(host, "stop")
    assert 'mv -f "$manifests' not in script
    assert '"$id" 4 >' in script


def test_the_first_member_lets_the_workers_look_again() -> None:
    host = Host("cp2", {"cp1": "none", "cp3": "etcd", "w1": "", "w2": ""})
    run(host, "serve")
    assert host.did("systemctl restart kubelet") == [
        f"{name} systemctl restart kubelet" for name in ("cp2", "w1", "w2")
    ]
    other = Host("cp3", {"cp1": "none", "cp2": "etcd", "w1": "", "w2": ""})
    run(other, "serve")
    assert other.did("systemctl restart kubelet") == ["cp3 systemctl restart kubelet"]


def test_a_worker_that_is_away_does_not_stop_it() -> None:
    host = Host("cp1", {"cp2": "etcd", "cp3": "etcd", "w2": ""})
    run(host, "serve")
    assert host.did("systemctl restart kubelet") == [
        "cp1 systemctl restart kubelet",
        "w2 systemctl restart kubelet",
    ]


def test_workers_wait_for_an_api_that_serves() -> None:
    host = Host("cp1", {"cp2": "etcd", "cp3": "etcd", "w1": ""}, says=lambda action: done(1))
    run(host, "serve")
    assert host.did("systemctl restart kubelet") == ["cp1 systemctl restart kubelet"]


APART = {"etcd1": "192.0.2.41", "etcd2": "192.0.2.42"}


def apart(host: Host, phase: Phase) -> None:
    """etcd has hosts of its own."""
    given = EtcdRestoreSpec(
        phase=phase, snapshot="/s.db", sha256="a" * 64, members=APART, servers=("cp1", "cp2"), workers=("w1",)
    )
    KIND.run(host, given, ChangeRequest(ActionKind.UPDATE, Observation.present({})))


def test_etcd_stops_after_the_api_servers() -> None:
    host = Host("etcd1", {"etcd2": "none yet", "cp1": "stop", "cp2": "none yet"})
    with pytest.raises(StepError, match="cp2 has not got through the phase 'stop'"):
        apart(host, "stop")
    assert host.log == []
    apart(Host("cp1", {"etcd1": "none yet", "etcd2": "none yet", "cp2": "none yet"}), "stop")


def test_control_planes_are_not_asked_for_what_only_members_do() -> None:
    host = Host("etcd2", {"etcd1": "restore", "cp1": "stop", "cp2": "none"})
    apart(host, "etcd")
    assert "name=etcd2" in host.log[0][1].script
    with pytest.raises(StepError, match="etcd2 has not got through the phase 'etcd'"):
        apart(Host("cp1", {"etcd1": "etcd", "etcd2": "restore", "cp2": "stop"}), "serve")


def test_one_control_plane_tells_etcd_and_the_workers() -> None:
    host = Host("cp1", {"etcd1": "none", "etcd2": "etcd", "cp2": "stop", "w1": ""})
    apart(host, "serve")
    assert [who for who, _ in host.log] == ["cp1", "etcd2", "w1"]
    assert host.did('e put kubexms/etcd-restore "$id"') == ['etcd2 e put kubexms/etcd-restore "$id"']
    other = Host("cp2", {"etcd1": "etcd", "etcd2": "etcd", "cp1": "stop", "w1": ""})
    apart(other, "serve")
    assert [who for who, _ in other.log] == ["cp2"]


def test_a_restore_that_etcd_does_not_know_of_has_not_ended() -> None:
    host = Host("cp1", {"etcd1": "etcd", "etcd2": "etcd", "cp2": "stop"}, fails="e put")
    with pytest.raises(StepError, match="etcd1 does not take in that the restore has happened"):
        apart(host, "serve")


def test_a_host_that_is_neither_is_refused() -> None:
    with pytest.raises(StepError, match="neither 'members' nor 'servers' names this host, w1"):
        apart(Host("w1", {}), "stop")
