"""`kubexms drift` on many hosts beside its floor, a login on all of them at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import contenders
from benchmarks.measure import Sample, floor, median, weigh
from benchmarks.report import Report, seconds, size
from benchmarks.workload import Workload
from tests.e2e.testbed import Fleet, Host


def drift(
    report: Report,
    fleet: Fleet,
    hosts: Sequence[Host],
    work: Workload,
    scratch: Path,
    rounds: int,
    say: Callable[[str], None],
) -> None:
    """Apply once, then look for drift, in turn with the floor; the median of the rounds' ratios is judged.

    One round more than asked for is run first and left out: byte code is compiled in it. In the second table
    row one step has drifted on every host, so that the state is read again and the history grows.
    """
    tool = contenders.kubexms(scratch / "drift", fleet, hosts, work)
    look = tuple("drift" if word == "plan" else word for word in tool.plan)
    clean, drifted = tool, dataclasses.replace(tool, changes_something=(2,))
    weigh(tool, tool.apply, fleet)
    taken: dict[str, list[Sample]] = {"clean": [], "one step drifted on each": [], "floor": []}
    path, _ = work.file(0)
    for number in range(rounds + 1):
        samples = {"floor": floor(fleet, hosts), "clean": weigh(clean, look, fleet)}
        for host in hosts:
            host.run(f"echo {number} >>{path}", check=True)
        samples["one step drifted on each"] = weigh(drifted, look, fleet)
        weigh(tool, tool.apply, fleet)
        for name, sample in samples.items() if number else ():
            taken[name].append(sample)
            say(f"drift on {len(hosts)} hosts: {name} {sample.wall:.2f} s")
    rows = []
    for name, samples_of in taken.items():
        figure = median(samples_of)
        times = sorted(one.wall / other.wall for one, other in zip(samples_of, taken["floor"], strict=True))
        ratio = times[len(times) // 2]
        report.values[f"drift {name} : floor {len(hosts)}"] = ratio
        rows.append([name, seconds(figure.wall), seconds(figure.cpu), size(figure.peak), f"{ratio:.2f}"])
    report.table(
        f"kubexms drift, {work.steps} steps on {len(hosts)} hosts",
        ["", "wall", "cpu", "peak memory", "wall : floor"],
        rows,
    )
