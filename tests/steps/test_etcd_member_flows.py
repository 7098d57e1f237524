"""How a host becomes a member of etcd and leaves: who is asked, in which order, and when it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import ActionKind, ChangeRequest, PeerContext, Prospect
from kubexms.step.kinds.etcd_member import EtcdMemberExecutor, EtcdMemberSpec
from kubexms.step.observation import Observation
from tests.steps.council import Host, Peer, done

KIND = EtcdMemberExecutor()
ADDRESSES = {"etcd1": "192.0.2.41", "etcd2": "192.0.2.42", "etcd3": "192.0.2.43"}
HEALTHY = "data\ncluster prod\nname x\nrunning\nenabled\nhealthy\n"
LAME = HEALTHY.replace("healthy\n", "")
INITIAL = "etcd1=https://192.0.2.41:2380,etcd2=https://192.0.2.42:2380"
STEPS = ("state=new", "changed add", "state=existing", "changed promote")


@dataclass
class Member(Host):
    """A host of etcd whose own survey says `status` and `listed`."""

    listed: str = ""

    def observe(self) -> Observation:
        return Observation.present({"status": self.status}, {"listed": self.listed})

    def peer(self, host: str) -> PeerContext:
        found = super().peer(host)
        assert isinstance(found, Peer)
        return Printing(found.name, found.told, found.log, found.fails)


@dataclass
class Printing(Peer):
    """Prints who the members are when it has told the others of a new one."""

    def exchange(self, action: Action) -> Outcome:
        outcome = super().exchange(action)
        told = outcome.status == 0 and "changed add" in action.script
        return done(stdout=f"initial {INITIAL}\n") if told else outcome


def spec(name: str, *members: str) -> EtcdMemberSpec:
    return EtcdMemberSpec(
        cluster="prod",
        member_name=name,
        members={member: ADDRESSES[member] for member in members or ADDRESSES},
        authority="/etc/etcd/ca",
        certificate="/etc/etcd/member",
    )


def become(host: Member, *members: str) -> list[str]:
    """Who did which of `STEPS`, in order."""
    KIND.run(host, spec(host.own, *members), ChangeRequest(ActionKind.CREATE, Observation.absent()))
    return host.did(*STEPS)


def member(own: str, peers: Mapping[str, str | None], status: str = "absent", listed: str = "") -> Member:
    return Member(own, peers, status, listed=listed)


def test_the_first_of_all_begins_where_nobody_has_any() -> None:
    host = member("etcd1", {"etcd2": "", "etcd3": ""})
    assert become(host) == ["etcd1 state=new"]
    assert host.alone_in == ["etcdMember prod"]


def test_others_join_as_learners_and_then_get_a_vote() -> None:
    host = member("etcd2", {"etcd1": HEALTHY, "etcd3": ""})
    assert become(host) == ["etcd1 changed add", "etcd2 state=existing", "etcd1 changed promote"]
    [joined] = [
        action.script for who, action in host.log if who == "etcd2" and "state=existing" in action.script
    ]
    assert f"initial={INITIAL}\n" in joined
    assert "name=etcd2\n" in joined
    [told] = [action.script for who, action in host.log if "changed add" in action.script]
    assert "url=https://192.0.2.42:2380\n" in told


def test_a_new_host_that_is_listed_first_joins_what_is_there() -> None:
    host = member("etcd1", {"etcd2": HEALTHY, "etcd3": HEALTHY})
    assert become(host) == ["etcd2 changed add", "etcd1 state=existing", "etcd2 changed promote"]


@pytest.mark.parametrize(
    ("peers", "why"),
    [
        ({"etcd2": None, "etcd3": ""}, "no member of etcd is healthy, and not all hosts are known"),
        ({"etcd2": LAME, "etcd3": ""}, "no member of etcd is healthy, and not all hosts are known"),
        ({"etcd2": "data\n", "etcd3": ""}, "no member of etcd is healthy, and not all hosts are known"),
    ],
)
def test_a_second_etcd_is_never_begun(peers: dict[str, str | None], why: str) -> None:
    host = member("etcd1", peers)
    with pytest.raises(StepError, match=why):
        become(host)
    assert host.did(*STEPS) == []


def test_only_the_first_begins() -> None:
    host = member("etcd2", {"etcd1": "", "etcd3": ""})
    with pytest.raises(StepError, match="there is no etcd to join yet"):
        become(host)


@pytest.mark.parametrize("status", ["lost", "removed"])
def test_one_that_was_a_member_never_begins_empty(status: str) -> None:
    host = member("etcd1", {}, status)
    with pytest.raises(StepError, match="its data is gone, and no other member is healthy") as caught:
        become(host, "etcd1")
    assert "etcd.restore" in str(caught.value.detail)
    assert host.did(*STEPS) == []


@pytest.mark.parametrize("status", ["lost", "removed"])
def test_one_whose_data_is_gone_joins_anew(status: str) -> None:
    host = member("etcd3", {"etcd1": HEALTHY, "etcd2": HEALTHY}, status)
    assert become(host) == ["etcd1 changed add", "etcd3 state=existing", "etcd1 changed promote"]


@pytest.mark.parametrize("listed", ["learner", "voter"])
def test_a_join_that_was_cut_off_goes_on_with_its_data(listed: str) -> None:
    host = member("etcd2", {"etcd1": HEALTHY, "etcd3": ""}, "partial", listed)
    assert become(host) == ["etcd1 changed promote"]


def test_one_that_the_others_do_not_know_begins_its_join_anew() -> None:
    host = member("etcd2", {"etcd1": HEALTHY, "etcd3": ""}, "partial", "no")
    assert become(host) == ["etcd1 changed add", "etcd2 state=existing", "etcd1 changed promote"]


def test_what_the_others_say_is_told() -> None:
    host = Member("etcd2", {"etcd1": HEALTHY}, fails="changed add")
    with pytest.raises(StepError, match="etcd1 could not let etcd2 in"):
        KIND.run(host, spec("etcd2"), ChangeRequest(ActionKind.CREATE, Observation.absent()))
    assert host.did("state=existing") == []


def test_a_member_without_a_record_is_taken_over_as_it_runs() -> None:
    host = member("etcd1", {"etcd2": "data\nhealthy\n", "etcd3": None}, "unrecorded", "voter")
    adopting = spec("etcd1").model_copy(update={"adopts": True})
    changed = ChangeRequest(
        ActionKind.UPDATE, Observation.present({"status": "unrecorded"}), changed=frozenset({"status"})
    )
    KIND.run(host, adopting, changed)
    assert host.did(*STEPS) == []
    [kept] = [action.script for _, action in host.log if "cluster=%s" in action.script]
    assert "restart" not in kept


@pytest.mark.parametrize("adopts", [True, False])
def test_who_joins_takes_a_healthy_member_without_a_record_for_one_where_those_are_taken_over(
    adopts: bool,
) -> None:
    host = member("etcd2", {"etcd1": "data\nhealthy\n", "etcd3": ""})
    joining = spec("etcd2").model_copy(update={"adopts": adopts})
    request = ChangeRequest(ActionKind.CREATE, Observation.absent())
    if adopts:
        KIND.run(host, joining, request)
        assert host.did(*STEPS) == ["etcd1 changed add", "etcd2 state=existing", "etcd1 changed promote"]
    else:
        with pytest.raises(StepError, match="no member of etcd is healthy"):
            KIND.run(host, joining, request)


def leave(host: Member, *members: str) -> list[str]:
    KIND.run_undo(host, spec(host.own, *members), Observation.absent())
    return host.did("changed remove", "disable --quiet --now")


def test_a_member_is_out_before_it_stops() -> None:
    host = member("etcd3", {"etcd1": HEALTHY, "etcd2": HEALTHY}, "member")
    assert leave(host) == ["etcd1 changed remove", "etcd3 disable --quiet --now"]


def test_the_last_one_needs_nobody() -> None:
    assert leave(member("etcd1", {"etcd2": "", "etcd3": ""}, "member")) == ["etcd1 disable --quiet --now"]
    assert leave(member("etcd1", {}, "member"), "etcd1") == ["etcd1 disable --quiet --now"]


def test_a_member_stays_where_a_quorum_would_suffer() -> None:
    host = member("etcd3", {"etcd1": HEALTHY, "etcd2": LAME}, "member")
    with pytest.raises(StepError, match="without this member 1 of 2 would be healthy; etcd needs 2"):
        leave(host)
    silent = member("etcd3", {"etcd1": None, "etcd2": LAME}, "member")
    with pytest.raises(StepError, match="no other member of etcd is healthy"):
        leave(silent)
    assert host.did("disable") == silent.did("disable") == []


def prospect(
    name: str, action: ActionKind = ActionKind.NO_OP, running: bool = True
) -> Prospect[EtcdMemberSpec]:
    before = Observation.present({"status": "member", "running": running})
    if action is ActionKind.CREATE:
        before = Observation.absent()
    return Prospect(f"demo-etcd/member/member@{name}", name, spec(name), action, before)


def refused(*steps: Prospect[EtcdMemberSpec]) -> Sequence[str]:
    return list(KIND.review(steps).values())


def test_a_plan_keeps_the_quorum() -> None:
    gone = prospect("etcd3", ActionKind.DELETE)
    assert refused(prospect("etcd1"), prospect("etcd2"), gone) == []
    [why] = refused(prospect("etcd1"), prospect("etcd2", running=False), gone)
    assert "1 of 2 members of the etcd of cluster prod would work (not working: etcd2), and it needs 2" in why
    # one that does not answer counts as one that does not work
    [why] = refused(prospect("etcd1"), gone)
    assert "(not working: etcd2)" in why
    # one that does not work itself may go
    assert refused(prospect("etcd1"), prospect("etcd2"), prospect("etcd3", ActionKind.DELETE, False)) == []


def test_a_plan_keeps_the_data() -> None:
    new = prospect("etcd2", ActionKind.CREATE)
    [why] = refused(prospect("etcd1", ActionKind.DELETE), new)
    assert "all data of cluster prod is gone, and etcd2 has yet to join: add etcd2 and apply" in why
    assert refused(prospect("etcd1", ActionKind.DELETE), prospect("etcd2", ActionKind.DELETE)) == []
