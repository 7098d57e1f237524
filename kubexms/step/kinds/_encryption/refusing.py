"""Who could not read what is stored, or what others are about to store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kubexms.step.kinds._encryption.reading import PLAIN, Reading


@dataclass(frozen=True)
class Server:
    """A control plane that stays or comes, and what is there now."""

    address: str
    host: str
    now: Reading


@dataclass(frozen=True)
class Wanted:
    """What the document says: the first of `providers` is what is written with."""

    resources: Sequence[str] = ()
    providers: Sequence[str] = (PLAIN,)
    silent: Sequence[str] = field(default=())
    """Control planes that do not answer."""


def refusals(wanted: Wanted, servers: Sequence[Server]) -> dict[str, str]:
    """Address of a control plane -> why its API server, or the others, could not read what is stored."""
    serving = [server for server in servers if server.now.serves]
    found: dict[str, str] = {}
    for server in serving:
        for message in _lost(wanted, server):
            found.setdefault(server.address, message)
    if len(servers) + len(wanted.silent) > 1:
        for address, message in _too_early(wanted, serving):
            found.setdefault(address, message)
    return found


def _lost(wanted: Wanted, server: Server) -> Iterator[str]:
    """What this one has written and nobody would read any more."""
    now = server.now
    if not now.known:
        return
    for name in now.other:
        yield (
            f"the key {name.partition(':')[2]} of kubernetes.encryptionAtRest is another one than that of "
            f"{server.host}, which could not read any more what it has stored: put the old one back, and "
            "give the new one another name"
        )
    for resource in dict.fromkeys(name for names, _ in now.entries for name in names):
        has, reads = now.providers(resource), [PLAIN]
        if resource in wanted.resources:
            reads = [*wanted.providers]
        lost = [provider for provider in has if provider not in reads]
        if not lost:
            continue
        if has[0] not in lost:
            if now.recorded.get(resource) not in reads:
                yield (
                    f"some {resource} may still be encrypted with {_named(lost[0])}, which "
                    "kubernetes.encryptionAtRest does not have any more: put it back and apply, which writes "
                    "them anew, and take it out then"
                )
        elif resource in wanted.resources:
            yield (
                f"{server.host} encrypts with {_named(has[0])}, which kubernetes.encryptionAtRest does not "
                "have any more: nobody could read that. Put it back behind the first key and apply, which "
                "writes everything anew, and take it out then"
            )
        elif wanted.resources:  # that encryption ends is looked at by a check of its own
            yield (
                f"{server.host} encrypts {resource}, which kubernetes.encryptionAtRest.resources does not "
                "have any more: nobody could read them. Put it back with `encrypt: false` and apply, which "
                "writes them anew, and take it out then"
            )


def _too_early(wanted: Wanted, serving: Sequence[Server]) -> Iterator[tuple[str, str]]:
    """Who could not read what the first control plane writes as soon as it has the document's configuration.

    Where one of them writes so already, nothing gets worse, and what differs on the others is put right.
    """
    first = next(iter(wanted.providers), PLAIN)
    if first == PLAIN:
        return
    for resource in wanted.resources:
        if any(one.now.known and one.now.providers(resource)[:1] == [first] for one in serving):
            continue
        what = f"{resource} that others encrypt with {_named(first)}"
        lacking = [one for one in serving if not one.now.known or first not in one.now.providers(resource)]
        for server in lacking:
            why = "" if server.now.known else "has not read its configuration since that changed, and "
            yield server.address, f"{server.host} {why}could not read {what}: {_HOW}"
        if serving and not lacking and wanted.silent:
            names = ", ".join(wanted.silent)
            why = "without an answer it is not known whether"
            yield serving[0].address, f"{why} {names} could read {what}"


def _named(provider: str) -> str:
    kind, _, name = provider.partition(":")
    return f"the key {name} ({kind})" if name else kind


_HOW = (
    "with several control planes all of them know a key before one uses it. Put it behind the key that "
    "encrypts now (with `encrypt: false` if none does), apply, and make it the first then"
)
