"""What a host answers about one object, for somebody who looks at it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kubexms.step.observation import Observation, Presence
from kubexms.views.escaping import printable

_LONGEST = 200
"""Characters of one value."""


def observed_lines(observation: Observation) -> Iterator[str]:
    """A line for each attribute, or one that says that there is none."""
    if observation.presence is Presence.UNKNOWN:
        yield f"  could not be observed: {printable(observation.reason)}"
    elif observation.presence is Presence.ABSENT:
        yield "  it is not there"
    else:
        width = max(map(len, observation.attributes), default=0)
        for name, value in sorted(observation.attributes.items()):
            text = json.dumps(value, ensure_ascii=False)
            yield f"  {name:{width}} = {printable(text[:_LONGEST])}{'…' if len(text) > _LONGEST else ''}"
        if not observation.attributes:
            yield "  nothing of it can be seen"
