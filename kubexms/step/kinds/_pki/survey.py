"""What a host has at a base path: a private key, and the certificate or public key that belongs to it.

No private key is ever part of an answer; whether it is the one of its certificate is found out on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubexms.runtime.protocol import Answer, Fragment, Record
from kubexms.step.shell import quote

DENIED, NO_TOOL = 1, 2

OPENSSL = "command -v openssl >/dev/null || { echo 'openssl is not installed on this host' >&2; exit 1; }\n"
"""For actions."""

PAIR = r"""
denied() { echo "permission denied: $1 cannot be read"; exit 1; }
# public FILE: its public key
public() {
  case $1 in
  *.crt) openssl x509 -noout -pubkey -in "$1" 2>/dev/null ;;
  *.pub) openssl pkey -pubin -in "$1" 2>/dev/null ;;
  *) openssl pkey -pubout -in "$1" -passin pass: 2>/dev/null ;;
  esac
}
# pair BASE ENDING SECONDS: files with mode and owner, whether they belong together, whether the end is near
pair() {
  b=$1
  if [ -d "${b%/*}" ] && [ ! -x "${b%/*}" ]; then denied "${b%/*}"; fi
  n=0
  for f in "$b.$2" "$b.key"; do
    [ -e "$f" ] || continue
    [ -r "$f" ] || denied "$f"
    echo "${f##*.} $(stat -L -c '%a %U %G' "$f")"
    n=$((n + 1))
  done
  [ "$n" != 0 ] || return 0
  command -v openssl >/dev/null || { echo 'openssl is not installed on this host'; exit 2; }
  if [ "$n" = 2 ]; then
    k=$(public "$b.key")
    if [ -n "$k" ] && [ "$k" = "$(public "$b.$2")" ]; then echo matches; fi
  fi
  [ -e "$b.$2" ] || return 0
  if [ "$2" = crt ]; then openssl x509 -noout -checkend "$3" -in "$b.crt" >/dev/null 2>&1 || echo due; fi
  echo "-- $2"
  head -c 65536 "$b.$2"
}
# authority BASE: the certificate of who is to have signed
authority() {
  echo '-- authority'
  [ ! -r "$1.crt" ] || head -c 65536 "$1.crt"
}
"""
"""Shell functions for questions."""


@dataclass(frozen=True)
class File:
    """A file that is there."""

    mode: str
    owner: str
    group: str


@dataclass(frozen=True)
class Pair:
    """What one host has. `public` and `private` are None where there is no such file."""

    public: File | None = None
    private: File | None = None
    matches: bool = False
    """The private key is the one of the certificate or public key."""
    due: bool = False
    text: str = ""
    """The certificate or public key, PEM."""
    authority: str = ""
    """The authority's certificate, where it was asked about."""
    clock: int = 0
    """Seconds since the epoch by the host's clock, where it was asked about."""

    @property
    def key(self) -> str:
        """In a word."""
        if self.private is None:
            return "missing"
        return "own" if self.matches or self.public is None else "another's"


def question(base: str, ending: str, within: int = 0, authority: str | None = None) -> str:
    """Read-only sh that prints what `read` takes. 1: it may not look; 2: there is no openssl."""
    script = f"{PAIR}pair {quote(base)} {ending} {within}\n"
    return script + (f"authority {quote(authority)}\n" if authority is not None else "")


def holding(base: str, ending: str) -> Fragment:
    """Asked of another host: what it has, and what its clock says."""
    script = f'a=$(\n{question(base, ending)}\n)\nemit "$?" "$(date +\'clock %s\')\n$a"\n'
    return Fragment(script, timeout=40.0)


def read(text: str) -> Pair:
    """A pair from the text of its record; never raises."""
    sections = {"": ""}
    name = ""
    for line in text.splitlines():
        if line.startswith("-- "):
            name = line[3:]
            sections[name] = ""
        else:
            sections[name] += line + "\n"
    words = {line.partition(" ")[0]: line.partition(" ")[2] for line in sections[""].splitlines()}
    clock = words.get("clock", "")
    return Pair(
        public=_file(words.get("crt", words.get("pub"))),
        private=_file(words.get("key")),
        matches="matches" in words,
        due="due" in words,
        text=sections.get("crt", sections.get("pub", "")),
        authority=sections.get("authority", ""),
        clock=int(clock) if clock.isascii() and clock.isdigit() else 0,
    )


def read_answer(answer: Answer) -> Pair | str:
    """What another host told, or why it told nothing."""
    if answer.failure is not None or not answer.records:
        return answer.detail or (answer.failure.value if answer.failure else "no answer")
    return read_record(answer.records[0])


def read_record(record: Record) -> Pair | str:
    """A pair, or why there is none."""
    text = record.text.decode("utf-8", "replace")
    if record.status != 0:
        said = [line for line in text.splitlines() if line and not line.startswith("clock ")]
        return said[-1] if said else "the host does not tell what it has"
    return read(text)


def _file(words: str | None) -> File | None:
    parts = (words or "").split()
    if len(parts) != 3 or not parts[0].isdigit():
        return None
    return File(
        f"{int(parts[0], 8):04o}" if parts[0].strip("01234567") == "" else parts[0], parts[1], parts[2]
    )
