"""Consecutive steps of one host, handed to a worker together: a step costs no turn of the coordinator."""

from __future__ import annotations

from kubexms.executor.schedule import WAITING, Schedule

LONGEST = 256
"""Steps of one batch at most: what is known about it stays small."""


def next_batch(schedule: Schedule, first: int) -> list[int]:
    """`first`, which is ready, and steps that follow it on its host and wait for nothing else.

    A batch enters no task with hooks or batches of hosts of its own: somebody has to be asked there.
    """
    groups, states, blocked = schedule.groups, schedule.state, schedule.blocked
    group = groups[first]
    assert group is not None
    batch = [first]
    left: dict[int, int] = {}
    current: int | None = first
    while current is not None and len(batch) < LONGEST:
        following = None
        for follower in schedule.followers[current]:
            other = groups[follower]
            if other is None or other.lane is not group.lane:
                continue
            count = left[follower] = left.get(follower, schedule.remaining[follower]) - 1
            if (
                count == 0
                and following is None
                and (other is group or other.info.plain)
                and states[follower] == WAITING
                and blocked[follower] is None
            ):
                following = follower
                group = other
        if following is not None:
            batch.append(following)
        current = following
    return batch
