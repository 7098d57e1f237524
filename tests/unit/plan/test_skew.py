"""Which versions nodes may have beside each other, as a plan sees it."""

from __future__ import annotations

from kubexms.step.kinds._kubeadm.skew import Course, number, refusals

OLD, NEW = "1.20.2", "1.21.0"


def plane(name: str, before: str = OLD, after: str = NEW, *peers: str) -> Course:
    listed = peers or ("cp1", "cp2", "cp3", "cp4", "cp5")
    return Course(f"m/t/node@{name}", name, True, not before, before, after, listed)


def worker(name: str, before: str = OLD, after: str = NEW) -> Course:
    return Course(f"m/t/node@{name}", name, False, not before, before, after, ("cp1",))


def test_an_upgrade_of_all() -> None:
    assert refusals("demo", [plane("cp1"), plane("cp2"), plane("cp3"), worker("w1")]) == {}


def test_a_worker_that_would_be_newer_than_a_control_plane() -> None:
    nodes = [
        plane("cp1"),
        plane("cp2", OLD, OLD),
        plane("cp3", OLD, OLD),
        worker("w1"),
        worker("w2", OLD, OLD),
    ]
    assert refusals("demo", nodes) == {
        f"m/t/node@{name}": f"the kubelet of {name} would be 1.21.0, newer than the API server of cp2 "
        "and cp3 (1.20.2): in cluster demo control planes come first"
        for name in ("cp1", "w1")
    }


def test_new_nodes_of_a_cluster_that_is_half_upgraded() -> None:
    """cp1 and w1 have the new version already; the new ones are listed last, and so come last."""
    nodes = [plane("cp1", NEW), plane("cp2"), plane("cp3"), plane("cp4", ""), plane("cp5", "")]
    assert refusals("demo", [*nodes, worker("w1", NEW), worker("w2"), worker("w3", "")]) == {}


def test_a_control_plane_that_would_join_before_others_are_upgraded() -> None:
    order = ("cp1", "cp4", "cp2", "cp3", "cp5")
    names = {"cp1": NEW, "cp4": "", "cp2": OLD, "cp3": OLD, "cp5": ""}
    found = refusals("demo", [plane(name, before, NEW, *order) for name, before in names.items()])
    assert found == {
        "m/t/node@cp4": "cp4 would join cluster demo with 1.21.0 before cp2 and cp3 (1.20.2): list it after "
        "the control planes that are there, or upgrade them first"
    }


def test_a_new_one_is_listed_where_one_likes_if_nothing_is_upgraded() -> None:
    assert refusals("demo", [plane("cp1", "", OLD), plane("cp2", OLD, OLD), plane("cp3", OLD, OLD)]) == {}


def test_versions_are_numbers() -> None:
    assert number("v1.9.10") < number("1.20.2-rc.1") == number("1.20.2+build")
