"""Until when certificates are valid: the host shows them, and cryptography reads them here.

Nothing is started on the host for each of them, as plans ask for thirteen on every control plane.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kubexms.step.kinds._pki.x509 import parse

SHOWN = r"""
# shown NAME FILE ...: the host's time, and for each certificate a line `certificate NAME BASE64`: of its DER,
# or, in a kubeconfig, of its PEM. Of a file that is not there, or holds none, nothing is said; of a chain the
# first. Keys are left where they are.
shown() {
  echo "now $(date +%s)"
  awk 'BEGIN {
    for (a = 1; a + 1 < ARGC; a += 2) {
      body = ""; within = 0
      while ((getline line <ARGV[a + 1]) > 0) {
        if (sub(/^ *client-certificate-data: */, "", line)) { body = line; break }
        if (within && line ~ /^-----END /) break
        if (within) body = body line
        if (line ~ /^-----BEGIN CERTIFICATE-----/) within = 1
      }
      close(ARGV[a + 1])
      gsub(/[ \t\r"]/, "", body)
      if (body != "") print "certificate", ARGV[a], body
    }
  }' "$@"
}
"""
"""A function of sh, which asks for nothing but awk and date."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """What certificates a host has shown: until when each is valid, and what time it was there."""

    now: datetime
    ends: Mapping[str, datetime]

    def within(self, name: str, days: int) -> bool:
        """Whether it ends within so many days, by the host's clock."""
        return self.ends[name] < self.now + timedelta(days=days)


def lifetimes(text: str) -> Lifetimes:
    """Read what `shown` has printed, among other lines. What is no certificate is left out."""
    now, ends = datetime.fromtimestamp(0, UTC), dict[str, datetime]()
    for line in text.splitlines():
        match line.split(" "):
            case ["now", seconds] if seconds.isdigit():
                now = datetime.fromtimestamp(int(seconds), UTC)
            case ["certificate", name, data]:
                end = _end(data)
                if end is not None:
                    ends[name] = end
    return Lifetimes(now, ends)


def written(end: datetime) -> str:
    """As openssl writes it: `Nov 25 03:10:30 2027 GMT`."""
    return f"{end:%b} {end.day:2d} {end:%H:%M:%S %Y} GMT"


def _end(data: str) -> datetime | None:
    pem = f"-----BEGIN CERTIFICATE-----\n{data}\n-----END CERTIFICATE-----\n"
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error:
        return None
    found = parse(raw.decode("ascii", "replace") if raw.startswith(b"-----BEGIN ") else pem)
    return None if found is None else found.ends
