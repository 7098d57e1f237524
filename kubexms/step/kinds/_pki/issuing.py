"""A certificate for a key of this host: the request goes to who holds the authority's key, nothing else does.

The holder signs what the controller has read in the request and found to be what was asked for; usages and
names are the controller's, whatever the request says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.errors import PeerFailed, StepError
from kubexms.runtime.protocol import Action, Outcome, Payload
from kubexms.step.contract import PeerContext, StepContext
from kubexms.step.kinds._pki import placing
from kubexms.step.kinds._pki.survey import OPENSSL, Pair, holding, read_answer
from kubexms.step.kinds._pki.x509 import Parsed, parse, parse_request
from kubexms.step.kinds._shell.atomic import functions
from kubexms.step.shell import quote

DAY = 86400


@dataclass(frozen=True)
class Order:
    """What is to be issued."""

    base: str
    common_name: str
    organizations: Sequence[str]
    names: Sequence[str]
    usages: Sequence[str]
    authority: str
    holders: Sequence[str]
    days: int
    least_days: int
    """It must last for more than these, or it would be due at once."""
    mode: str
    who: str
    """Owner and group of the key, as `chown` takes them."""
    bits: int

    @property
    def fresh(self) -> str:
        """Where the new key lies until its certificate is there."""
        return f"{self.base}.new.key"

    @property
    def quoted_fresh(self) -> str:
        """The same as a word of sh."""
        return quote(self.fresh)

    def request(self) -> Action:
        """On the host itself: a new key, and a request on standard output."""
        parts = [f"{number}.O = {name}" for number, name in enumerate(self.organizations)]
        head = ("[req]", "distinguished_name = dn", "prompt = no", "string_mask = utf8only", "[dn]")
        config = "\n".join([*head, *parts, f"CN = {self.common_name}", ""])
        fresh = self.quoted_fresh
        script = (
            f"{OPENSSL}{functions(self.base)}umask 077\n"
            f"d={quote(self.base)}\n"
            '[ -d "${d%/*}" ] || fail "${d%/*} is not a directory: declare it in a step before this one"\n'
            f"rm -f {fresh}\n{placing.private_key(f'{self.base}.new', self.bits)}"
            f"payload config | openssl req -new -sha256 -config /dev/stdin -key {fresh} 2>/dev/null "
            '|| fail "openssl made no request"\n'
        )
        return Action(script, {"config": Payload(data=config.encode())}, timeout=120.0)

    def signing(self, request: str, days: int) -> Action:
        """On a holder: the certificate on standard output."""
        usages = ",".join(f"{usage}Auth" for usage in self.usages)
        lines = [
            "basicConstraints = critical,CA:FALSE",
            "keyUsage = critical,digitalSignature,keyEncipherment",
            f"extendedKeyUsage = {usages}",
            "authorityKeyIdentifier = keyid",
        ]
        if self.names:
            names = [f"{'IP' if _address(name) else 'DNS'}:{name}" for name in self.names]
            lines.append("subjectAltName = " + ",".join(names))
        crt, key = quote(f"{self.authority}.crt"), quote(f"{self.authority}.key")
        script = (
            f"{OPENSSL}umask 077\nd=$(mktemp -d)\ntrap 'rm -rf \"$d\"' EXIT\ntrap 'exit 143' HUP INT TERM\n"
            'payload request >"$d/request"\n'
            "payload extensions | openssl x509 -req -sha256 -extfile /dev/stdin "
            f'-in "$d/request" -CA {crt} -CAkey {key} -passin pass: '
            f'-set_serial "0x4$(openssl rand -hex 15)" -days {days} 2>"$d/said" || '
            '{ cat "$d/said" >&2; exit 1; }\n'
        )
        payloads = {
            "request": Payload(data=request.encode()),
            "extensions": Payload(data="\n".join([*lines, ""]).encode()),
        }
        return Action(script, payloads, timeout=60.0)

    def installation(self, certificate: str) -> Action:
        """On the host itself: both in their places. A kill in between leaves two that do not match."""
        key, fresh = quote(f"{self.base}.key"), self.quoted_fresh
        script = (
            f'{functions(self.base)}begin {key}\ncat <{fresh} >"$t" || lacking\n'
            f"permit {quote(self.who)} {self.mode}\ncommit\n"
            + placing.filled(f"{self.base}.crt", "certificate", placing.PUBLIC, self.who)
            + f"rm -f {fresh}\n"
        )
        backup = (f"{self.base}.crt", f"{self.base}.key")
        return Action(script, {"certificate": Payload(data=certificate.encode())}, backup=backup)


@dataclass(frozen=True)
class _Signer:
    """Who has the authority's key: another host, or (None) this one."""

    peer: PeerContext | None
    host: str
    found: Pair
    certificate: Parsed


def issue(context: StepContext, order: Order) -> Outcome:
    """Have a certificate issued. Raises `StepError` with the files as they were if that cannot be."""
    compared = context.exchange(order.request(), verify=False)
    if not compared.acted or compared.status != 0 or compared.timed_out:
        return compared
    text = compared.stdout.decode("utf-8", "replace")
    request = parse_request(text)
    wanted = (order.common_name, sorted(order.organizations), 1 + len(order.organizations))
    if request is None or request.subject != wanted:
        raise StepError("this host made a request for another certificate than it was told to")
    signer = _signer(context, order)
    days = _days(order, signer)
    context.progress(f"signed by {signer.host}")
    signing = order.signing(text, days)
    signed = context.exchange(signing, verify=False) if signer.peer is None else signer.peer.exchange(signing)
    said = signed.stderr.decode("utf-8", "replace").strip()
    if signed.timed_out or signed.status != 0:
        raise StepError(
            f"{signer.host} could not sign: {said.splitlines()[-1] if said else 'no reason given'}"
        )
    certificate = parse(signed.stdout.decode("utf-8", "replace"))
    if (
        certificate is None
        or certificate.public_key != request.public_key
        or not certificate.signed_by(signer.certificate)
    ):
        raise StepError(f"{signer.host} did not sign what it was given", detail=said)
    return context.exchange(order.installation(signed.stdout.decode()))


def _signer(context: StepContext, order: Order) -> _Signer:
    """The host itself if it can, else the first holder that can and whose authority is this host's."""
    own = context.connection.host
    fragment = holding(order.authority, "crt")
    local = read_answer(context.connection.ask((fragment,), deadline=fragment.timeout + 30.0).answers[0])
    trusted = parse(local.text) if isinstance(local, Pair) else None
    if isinstance(local, str) or trusted is None:
        why = local if isinstance(local, str) else "declare a certificateAuthority step before this one"
        raise StepError(f"{order.authority}.crt is not on this host: {why}")
    if local.private is not None and local.matches:
        return _Signer(None, own, local, trusted)
    reasons = list[str]()
    for name in order.holders:
        if name == own:
            reasons.append(f"{name}: this host does not have the key")
            continue
        try:
            peer = context.peer(name)
            found = read_answer(peer.ask(fragment))
        except PeerFailed as error:
            reasons.append(f"{name}: {error.summary.removeprefix(f'{name}: ')}")
            continue
        parsed = parse(found.text) if isinstance(found, Pair) else None
        if isinstance(found, str):
            reasons.append(f"{name}: {found}")
        elif parsed is None or found.private is None or not found.matches:
            reasons.append(f"{name}: it does not have the authority with its key")
        elif parsed.fingerprint != trusted.fingerprint:
            reasons.append(f"{name}: its {order.authority}.crt is another one than this host's")
        else:
            return _Signer(peer, name, found, parsed)
    raise StepError(f"no holder of {order.authority} can sign", detail="\n".join(reasons))


def _days(order: Order, signer: _Signer) -> int:
    """A certificate does not outlive its authority."""
    ends = signer.certificate.ends
    left = int((ends.timestamp() - signer.found.clock) // DAY)
    days = min(order.days, left)
    if days <= order.least_days:
        raise StepError(
            f"the authority {order.authority} ends on {ends:%Y-%m-%d}, in {left} days",
            detail=f"A certificate that is renewed {order.least_days} days before its end would be due now. "
            "Have a new authority, or renew later.",
        )
    return days


def _address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()
