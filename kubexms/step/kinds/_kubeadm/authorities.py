"""The authorities of a new cluster, made before kubeadm looks for them: it takes over what is there.

They are what kubeadm makes (app/util/pkiutil, NewCertificateAuthority), but for their end.
"""

from __future__ import annotations

from kubexms.step.kinds._pki.placing import authority_request
from kubexms.step.shell import quote

NAMES = {"ca": "kubernetes", "etcd/ca": "etcd-ca", "front-proxy-ca": "front-proxy-ca"}
"""Below /etc/kubernetes/pki, and the common name that kubeadm gives each."""

_MAKE = r"""
# authority FILE, as the request says, unless it is there. `made` goes away again if kubeadm refuses to begin.
authority() {
  b=/etc/kubernetes/pki/$1
  if [ -e "$b.crt" ] || [ -e "$b.key" ]; then return 0; fi
  made="$made $b.crt $b.key"
  mkdir -p -m 0700 "${b%/*}"
  : >"$b.key"
  chmod 0600 "$b.key"
  openssl genrsa 2048 2>/dev/null >"$b.key" || { echo "openssl made no key for $b.crt" >&2; exit 1; }
  printf %s "$request" |
    openssl req -x509 -new -sha256 -config /dev/stdin -extensions ext -key "$b.key" -days "$days" \
      2>/dev/null >"$b.crt" || { echo "openssl made no certificate $b.crt" >&2; exit 1; }
  chmod 0644 "$b.crt"
}
"""


def authorities(days: int, *, etcd: bool = True) -> str:
    """Sh that makes those that are not there; goes on in the script of `scripts.begin`.

    Without `etcd` its own is left out: that one is elsewhere.
    """
    calls = "".join(
        f"request={quote(authority_request(name))}\nauthority {file}\n"
        for file, name in NAMES.items()
        if etcd or file != "etcd/ca"
    )
    return f"days={days}\n{_MAKE}{calls}"
