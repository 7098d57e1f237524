"""Plans for the pages to show: of many hosts, of many differing changes, with an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubexms.plan.model import Change, OrderedModule, OrderedStep, OrderedTask, Plan, Reason, TextDiff
from kubexms.step.contract import Disruption
from tests.golden.cases import CASES, create, host, plan, update

Steps = Mapping[str, Sequence[str]]
"""Task -> names of its steps; `service<config` waits for the step `config` of its task."""


def golden(name: str) -> Plan:
    """One of the plans of the golden files."""
    return next(case for case in CASES if case.name == name).plan()


def order(modules: Mapping[str, Steps]) -> tuple[OrderedModule, ...]:
    """Modules and tasks one after the other, as is the default."""
    found: list[OrderedModule] = []
    for module, tasks in modules.items():
        names = list(tasks)
        ordered = tuple(
            OrderedTask(
                name=task,
                after=(f"{module}/{names[place - 1]}",) if place else (),
                steps=tuple(_step(f"{module}/{task}", text) for text in tasks[task]),
            )
            for place, task in enumerate(names)
        )
        found.append(OrderedModule(name=module, after=(found[-1].name,) if found else (), tasks=ordered))
    return tuple(found)


def _step(task: str, text: str) -> OrderedStep:
    name, _, waits = text.partition("<")
    after = () if not waits else (waits if "/" in waits else f"{task}/{waits}",)
    return OrderedStep(name=name, after=after)


MIXED: Mapping[str, Steps] = {
    "os": {
        "kernel": ["overlay", "reboot"],
        "files": ["motd", "token"],
        "users": ["deploy"],
        "disks": ["data"],
        "checks": ["port"],
        "init": ["cluster"],
    },
    "runtime": {"containerd": ["package", "config", "service<os/files/token"]},
}


def mixed() -> Plan:
    """Every action, reason and disruption, with an order."""
    return golden("mixed").model_copy(update={"order": order(MIXED)})


def fleet(hosts: int = 100, steps: int = 50) -> Plan:
    """The same changes on every host."""
    names = [f"n{number:03}" for number in range(1, hosts + 1)]
    tasks = {f"task{number}": [f"step{step}" for step in range(10)] for number in range(steps // 10)}
    changes = [_alike(f"os/{task}/{step}@{name}") for task in tasks for step in tasks[task] for name in names]
    return plan(*changes, order=order({"os": tasks}), hosts=tuple(map(host, names)))


def _alike(address: str) -> Change:
    name = address.partition("@")[0].rpartition("/")[2]
    if name == "step9":
        return update(
            address,
            "service",
            {"enabled": True, "version": "1"},
            {"enabled": True, "version": "2"},
            reason=Reason.TRIGGERED,
            triggered_by=("step8",),
            disruption=Disruption.RESTART,
            summary="agent",
        )
    return create(address, "sysctl", {"value": "1", "persistent": True}, summary=f"net.{name}")


def distinct(hosts: int = 100, steps: int = 100) -> Plan:
    """No two changes alike."""
    names = [f"n{number:03}" for number in range(1, hosts + 1)]
    tasks = {f"task{number}": [f"step{step}" for step in range(10)] for number in range(steps // 10)}
    changes = [
        update(
            f"os/{task}/{step}@{name}",
            "file",
            {"mode": "0644", "owner": "root", "sha256": "1" * 64},
            {"mode": "0600", "owner": "root", "sha256": "2" * 64},
            summary=f"/etc/{task}/{step}.conf",
            text={
                "content": TextDiff(
                    before=f"# {name}\naddress = 10.0.0.1\n" + "x = 1\n" * 20,
                    after=f"# {name}\naddress = 10.1.0.1\nname = {name}.{step}.example.org\n"
                    + "x = 1\n" * 20,
                )
            },
        )
        for task in tasks
        for step in tasks[task]
        for name in names
    ]
    return plan(*changes, order=order({"os": tasks}))
