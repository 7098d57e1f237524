"""What one API server has read when it started.

Format: apiserver.config.k8s.io/v1 EncryptionConfiguration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PLAIN = "identity"
"""The provider that does not encrypt, and reads what is not encrypted."""


@dataclass(frozen=True)
class Reading:
    """What the API server that runs on a host has read when it started."""

    serves: bool = False
    """One runs. One that does not, reads the file when it starts."""
    known: bool = True
    """False: the file has changed since, so that nobody can tell what it has read."""
    entries: Sequence[tuple[Sequence[str], Sequence[str]]] = ()
    """Resources, and their providers in order: `identity`, or `secretbox:NAME` for each key."""
    other: Sequence[str] = ()
    """Keys of the document whose value there is another one."""
    recorded: Mapping[str, str] = field(default_factory=dict)
    """Resource -> with what all of its objects have been written, as `storedObjects` keeps it. Asked for
    where something there would not be read any more."""

    def providers(self, resource: str) -> Sequence[str]:
        """Those of the first entry that names the resource, as the API server looks for it."""
        return next((has for names, has in self.entries if resource in names), (PLAIN,))


def read(text: str) -> Reading:
    """What `LOOK` has printed."""
    serves, known = False, True
    entries, other, recorded = list[tuple[list[str], list[str]]](), list[str](), dict[str, str]()
    provider = ""
    for line in text.splitlines():
        word, _, value = line.partition(" ")
        if word == "process":
            serves = True
        elif word == "later":
            known = False
        elif word == "entry":
            entries.append(([], []))
        elif word == "other":
            other.append(value)
        elif word == "recorded":
            resource, _, recorded[resource] = value.partition(" ")
        elif entries and word == "resource":
            entries[-1][0].append(value)
        elif entries and word == "provider":
            provider = value
            if provider == PLAIN:
                entries[-1][1].append(provider)
        elif entries and word == "key":
            entries[-1][1].append(f"{provider}:{value}")
    return Reading(serves, known, entries, other, recorded)
