"""The shell that puts keys and certificates in their places, whole or not at all, and takes them away."""

from __future__ import annotations

from kubexms.runtime.protocol import Action, Payload
from kubexms.step.kinds._pki.survey import OPENSSL
from kubexms.step.kinds._shell.atomic import functions, permissions, removal
from kubexms.step.observation import Observation, Presence
from kubexms.step.shell import quote

PRIVATE, PUBLIC = "0600", "0644"


def private_key(base: str, bits: int, mode: str = PRIVATE, who: str = "0:0") -> str:
    """A new key at BASE.key, unless there is one. Needs `functions`."""
    path = quote(f"{base}.key")
    return (
        f"if [ ! -e {path} ]; then\n  begin {path}\n"
        f'  openssl genrsa -out "$t" {bits} 2>/dev/null || fail "openssl made no key"\n'
        f"  permit {quote(who)} {mode}\n  commit\nfi\n"
    )


def filled(path: str, payload: str, mode: str, who: str = "0:0") -> str:
    """A file from a payload. Needs `functions`."""
    name = quote(path)
    return f'begin {name}\npayload {payload} >"$t" || lacking\npermit {quote(who)} {mode}\ncommit\n'


def installation(base: str, ending: str, public: str, key: bytes | None) -> Action:
    """Puts what another host had in its place. The key goes first: a public half alone would look whole."""
    paths = (f"{base}.{ending}", f"{base}.key") if key is not None else (f"{base}.{ending}",)
    script = functions(base)
    payloads = {"public": Payload(data=public.encode())}
    if key is not None:
        script += filled(f"{base}.key", "key", PRIVATE)
        payloads["key"] = Payload(data=key, sensitive=True)
    script += filled(f"{base}.{ending}", "public", PUBLIC)
    return Action(script, payloads, backup=paths)


def self_signed(base: str, name: str, days: int, bits: int) -> Action:
    """A certificate authority, with a new key or the one that lies there."""
    crt, key = quote(f"{base}.crt"), quote(f"{base}.key")
    script = (
        f"{OPENSSL}{functions(base)}umask 077\n{private_key(base, bits)}begin {crt}\n"
        "payload config | openssl req -x509 -new -sha256 -config /dev/stdin -extensions ext "
        f'-key {key} -passin pass: -days {days} -out "$t" 2>/dev/null '
        f'|| fail {key} "made no certificate: is it a private key?"\n'
        f"permit 0:0 {PUBLIC}\ncommit\n"
    )
    backup = (f"{base}.crt", f"{base}.key")
    config = Payload(data=authority_request(name).encode())
    return Action(script, {"config": config}, backup=backup, timeout=120.0)


def authority_request(name: str) -> str:
    """What openssl is to be told of an authority; its extensions are in the section `ext`."""
    return (
        "[req]\ndistinguished_name = dn\nprompt = no\nstring_mask = utf8only\n"
        f"[dn]\nCN = {name}\n"
        "[ext]\nbasicConstraints = critical,CA:TRUE\nsubjectKeyIdentifier = hash\n"
        "keyUsage = critical,digitalSignature,keyEncipherment,keyCertSign\n"
    )


def key_pair(base: str, bits: int) -> Action:
    """A private key, new or the one that lies there, and its public key."""
    key = quote(f"{base}.key")
    script = (
        f"{OPENSSL}{functions(base)}umask 077\n{private_key(base, bits)}begin {quote(f'{base}.pub')}\n"
        f'openssl pkey -pubout -in {key} -passin pass: -out "$t" 2>/dev/null '
        f'|| fail {key} "is no private key"\n'
        f"permit 0:0 {PUBLIC}\ncommit\n"
    )
    return Action(script, backup=(f"{base}.pub", f"{base}.key"), timeout=120.0)


def shown_key(base: str) -> Action:
    """Has a holder print its key, for another holder. The output is recorded nowhere."""
    return Action(f"cat {quote(f'{base}.key')}\n")


def permitted(base: str, ending: str, *, key: bool) -> Action:
    """Root's, and the key for root alone."""
    script = permissions(f"{base}.{ending}", PUBLIC, "root", "root")
    return Action(script + (permissions(f"{base}.key", PRIVATE, "root", "root") if key else ""))


def withdrawal(base: str, ending: str, prior: Observation, *, key: bool = True) -> Action:
    """Both files as they were before: the bytes from the backup, mode and owner from the observation."""
    script = functions(base)
    halves = [(f"{base}.{ending}", "public"), *([(f"{base}.key", "private")] if key else [])]
    for number, (path, word) in enumerate(halves):
        was = prior.extra.get(word) if prior.presence is Presence.PRESENT else None
        if not isinstance(was, list) or len(was) != 3:
            script += removal(path)
            continue
        mode, owner, group = map(str, was)
        name = quote(path)
        script += (
            f'if [ -f "$KX_BACKUP/{number}" ] || [ -f {name} ]; then\n  begin {name}\n'
            f'  if [ -f "$KX_BACKUP/{number}" ]; then cat <"$KX_BACKUP/{number}" >"$t"; '
            f'else cat <"$p" >"$t"; fi\n'
            f"  permit {quote(f'{owner}:{group}')} {mode}\n  commit\nfi\n"
        )
    return Action(script)
