"""Which control planes may leave a cluster, as a plan sees it."""

from __future__ import annotations

from dataclasses import replace

from kubexms.step.kinds._kubeadm.quorum import Standing, refusals

THREE = ("cp1", "cp2", "cp3")


def plane(name: str, *peers: str, leaves: bool = False, joins: bool = False) -> Standing:
    return Standing(f"m/t/node@{name}", name, plane=True, leaves=leaves, joins=joins, peers=peers or THREE)


def worker(name: str, leaves: bool = False) -> Standing:
    return replace(plane(name, leaves=leaves), plane=False)


def test_nothing_leaves() -> None:
    assert refusals("demo", [plane("cp1"), worker("w1")]) == {}


def test_a_worker_may_always_go() -> None:
    assert refusals("demo", [plane("cp1"), worker("w1", leaves=True)]) == {}


def test_two_of_three_may_go_one_after_the_other() -> None:
    leaving = [plane(name, leaves=True) for name in ("cp2", "cp3")]
    assert refusals("demo", [plane("cp1", "cp1"), *leaving, worker("w1")]) == {}


def test_two_of_five_may_go_and_one_of_the_others_may_be_dead() -> None:
    """More than half work after each removal: 3 of 4, then 2 of 3."""
    five = ("cp1", "cp2", "cp3", "cp4", "cp5")
    leaving = [plane(name, *five, leaves=True) for name in ("cp4", "cp5")]
    stay = [plane("cp1", *five[:3]), plane("cp2", *five[:3])]
    assert refusals("demo", [*stay, plane("cp3", *five[:3]), *leaving, worker("w1")]) == {}
    assert refusals("demo", [*stay, *leaving, worker("w1")]) == {}
    assert refusals("demo", [*stay[:1], *leaving, worker("w1")]) == {
        "m/t/node@cp4": "without cp4 2 of 4 control planes of cluster demo would work (cp2 and cp3 were not "
        "asked or do not answer), and etcd needs 3: repair cp2 and cp3 first, or let lostNodes take them out"
    }


def test_a_whole_cluster_may_go() -> None:
    assert refusals("demo", [plane("cp1", leaves=True), worker("w1", leaves=True)]) == {}


def test_the_last_one_may_not_go_while_nodes_stay() -> None:
    found = refusals("demo", [plane("cp1", leaves=True), worker("w1"), worker("w2")])
    assert found == {
        "m/t/node@cp1": "without cp1 cluster demo has no control plane, and w1 and w2 would be left "
        "with nothing to belong to: to remove the whole cluster, use `kubexms destroy`"
    }


def test_the_only_one_is_not_exchanged_for_another_in_one_go() -> None:
    found = refusals("demo", [plane("cp1", leaves=True), plane("cp2", "cp2", joins=True), worker("w1")])
    assert list(found) == ["m/t/node@cp1"]
    assert found["m/t/node@cp1"].endswith("add cp2 and apply, and take cp1 out afterwards")


def test_one_that_does_not_answer_is_no_member_that_works() -> None:
    found = refusals("demo", [plane("cp1", "cp1", "cp3"), plane("cp2", leaves=True)])
    assert found == {
        "m/t/node@cp2": "without cp2 1 of 2 control planes of cluster demo would work "
        "(cp3 was not asked or does not answer), and etcd needs 2: repair cp3 first, "
        "or let lostNodes take it out"
    }


def test_the_one_whose_address_is_the_endpoint_may_not_go() -> None:
    leaving = replace(plane("cp1", leaves=True), endpoint=True)
    found = refusals("demo", [leaving, plane("cp2"), plane("cp3")])
    assert found == {
        "m/t/node@cp1": "cp2 and cp3 reach cluster demo by the address of cp1, which is its endpoint: "
        "that cannot leave"
    }


def test_one_that_was_forgotten_is_still_a_member_of_etcd() -> None:
    """The document names cp3 no more, and those that leave were made members beside it."""
    found = refusals("demo", [plane("cp1", "cp1"), plane("cp2", leaves=True)])
    assert "cp3 was not asked or does not answer" in found["m/t/node@cp2"]


def test_those_that_join_first_count() -> None:
    nodes = [plane("cp1"), plane("cp2", leaves=True), plane("cp4", joins=True), plane("cp5", joins=True)]
    assert refusals("demo", [replace(node, peers=("cp1", "cp4", "cp5", "cp6")) for node in nodes]) == {}
