"""One key for several hosts: made once, by one of them, and only if all of them are known to have none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import PeerContext, StepContext
from kubexms.step.kinds._pki import placing
from kubexms.step.kinds._pki.survey import Pair, holding, read_answer


@dataclass(frozen=True)
class Share:
    """What is shared. `identity` tells a certificate or public key from others; "" if it is none."""

    what: str
    base: str
    ending: str
    holders: Sequence[str]
    with_key: bool
    make: Action
    identity: Callable[[str], str]


@dataclass(frozen=True)
class _Asked:
    whole: tuple[tuple[PeerContext, Pair], ...]
    """Holders that have both halves, which belong together."""
    public: tuple[tuple[str, Pair], ...]
    """All that have the public half."""
    others: tuple[str, ...]
    """Why the rest is of no help: those that have parts, and those that do not answer."""
    silent: bool


def obtain(context: StepContext, share: Share) -> Outcome:
    """Bring this host what the holders have, or make it. Raises `StepError` where neither is right."""
    own = context.connection.host
    if share.with_key and own not in share.holders:
        raise StepError(
            f"{own} is to have the key of {share.base}, and is not one of its holders",
            detail=f"holders: {', '.join(share.holders)}. Name it there, or set withKey to false.",
        )
    with context.alone(f"{share.what} {share.base}"):
        local = _local(context, share)
        asked = _ask(context, share, own)
        _agree(share, own, local, asked)
        if asked.whole:
            return _fetch(context, share, *asked.whole[0])
        if not share.with_key:
            return _public(context, share, asked)
        _nobody_has_it(share, own, local, asked)
        context.progress(f"no holder has it: this host makes the {share.what}")
        return context.exchange(share.make)


def _local(context: StepContext, share: Share) -> Pair:
    fragment = holding(share.base, share.ending)
    found = read_answer(context.connection.ask((fragment,), deadline=fragment.timeout + 30.0).answers[0])
    if isinstance(found, str):
        raise StepError(f"this host does not tell what it has at {share.base}: {found}")
    return found


def _ask(context: StepContext, share: Share, own: str) -> _Asked:
    whole, public = list[tuple[PeerContext, Pair]](), list[tuple[str, Pair]]()
    others, silent = list[str](), False
    for name in share.holders:
        if name == own:
            continue
        try:
            peer = context.peer(name)
            found = read_answer(peer.ask(holding(share.base, share.ending)))
        except PeerFailed as error:
            silent = True
            others.append(f"{name}: {error.summary.removeprefix(f'{name}: ')}")
            continue
        if isinstance(found, str):
            silent = True
            others.append(f"{name}: {found}")
            continue
        if found.public is not None:
            public.append((name, found))
        if found.public is not None and found.matches:
            whole.append((peer, found))
        elif found.public is not None or found.private is not None:
            have = "its public half" if found.private is None else "its key"
            others.append(
                f"{name} has {have} alone"
                if found.public is None or found.private is None
                else f"{name} has a key that is not the one of {share.base}.{share.ending}"
            )
    return _Asked(tuple(whole), tuple(public), tuple(others), silent)


def _agree(share: Share, own: str, local: Pair, asked: _Asked) -> None:
    """All of them have one and the same."""
    having = [*asked.public, *([(own, local)] if local.public is not None else [])]
    if len({share.identity(found.text) for _, found in having}) > 1:
        raise StepError(
            f"{', '.join(name for name, _ in having)} have different files {share.base}.{share.ending}",
            detail=f"There is to be one {share.what}. Move away what does not belong here, and what it "
            "signed, then apply again.",
        )


def _fetch(context: StepContext, share: Share, peer: PeerContext, found: Pair) -> Outcome:
    context.progress(f"copied from {peer.host}")
    key = None
    if share.with_key:
        shown = peer.exchange(placing.shown_key(share.base))
        if shown.timed_out or shown.status != 0 or not shown.stdout:
            raise StepError(f"{peer.host} does not show {share.base}.key to the other holders")
        key = shown.stdout
    return context.exchange(placing.installation(share.base, share.ending, found.text, key))


def _public(context: StepContext, share: Share, asked: _Asked) -> Outcome:
    if not asked.public:
        raise StepError(
            f"no holder has the {share.what} {share.base} yet",
            detail="\n".join([*asked.others, "Holders: " + ", ".join(share.holders)]),
        )
    return context.exchange(placing.installation(share.base, share.ending, asked.public[0][1].text, None))


def _nobody_has_it(share: Share, own: str, local: Pair, asked: _Asked) -> None:
    if asked.silent or asked.others:
        raise StepError(
            f"no holder can give the {share.what} {share.base}, and not all are known to be without it",
            detail="\n".join(asked.others)
            + "\nA second one is never made because a host does not answer: repair "
            "that host, or take it out of the holders, and apply again.",
        )
    if local.public is not None:
        raise StepError(
            f"{own} has {share.base}.{share.ending}, and no holder has its key",
            detail="Restore the key. Without it, nothing that others trust can be signed.",
        )
