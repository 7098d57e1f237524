"""A name that wanders between entries of the hosts file, some of which leave."""

from __future__ import annotations

from tests.unit.services.here import Here

BEFORE = "10.0.0.7\tmanual api\n"


def entry(here: Here, name: str, ip: str, *names: str) -> dict[str, object]:
    path = str(here.files / "hosts")
    return {"name": name, "kind": "hostsEntry", "ip": ip, "names": [name, *names], "path": path}


def named(here: Here) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in here.texts()["hosts"].splitlines():
        address, *names = line.split()
        found.setdefault(address, set()).update(names)
    return found


def test_a_name_goes_back_to_nobody_who_says_all_of_his_names(here: Here) -> None:
    (here.files / "hosts").write_text(BEFORE)
    here.steps(entry(here, "a", "10.0.0.1", "api"))
    here.apply()
    here.steps(entry(here, "b", "10.0.0.2", "api"), entry(here, "a", "10.0.0.1"))
    here.apply()
    assert named(here) == {"10.0.0.1": {"a"}, "10.0.0.2": {"b", "api"}, "10.0.0.7": {"manual"}}

    here.steps(entry(here, "a", "10.0.0.1"))
    here.apply()
    assert named(here) == {"10.0.0.1": {"a"}, "10.0.0.7": {"manual"}}
    assert here.is_right()

    here.apply(destroy=True)
    assert named(here) == {"10.0.0.7": {"manual", "api"}}


def test_a_name_goes_back_to_a_line_of_nobodys(here: Here) -> None:
    (here.files / "hosts").write_text(BEFORE)
    here.steps(entry(here, "b", "10.0.0.2", "api"), entry(here, "a", "10.0.0.1"))
    here.apply()
    here.steps(entry(here, "a", "10.0.0.1"))
    here.apply()
    assert named(here) == {"10.0.0.1": {"a"}, "10.0.0.7": {"manual", "api"}}
    assert here.is_right()
