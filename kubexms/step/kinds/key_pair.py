"""The kind `keyPair`: a private key that several hosts share, and its public key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kubexms.runtime.protocol import Action
from kubexms.step.contract import StepArgs
from kubexms.step.kinds._pki import placing
from kubexms.step.kinds._pki.shared import SharedPair, SharedSpec


class KeyPairSpec(SharedSpec):
    """An RSA key for signing that several hosts share: `PATH.key` on its holders, and `PATH.pub`.

    Hosts need openssl. Kubernetes' API servers sign the tokens of service accounts with one. It is made by
    one holder, and only if every other holder answers and has none; the others get it from that one. A pair
    that is there already is taken over and never replaced. The key is in no plan, state or log.
    """


class KeyPairExecutor(SharedPair[KeyPairSpec]):
    """See `KeyPairSpec`."""

    kind: ClassVar[str] = "keyPair"
    spec: ClassVar[type[StepArgs]] = KeyPairSpec
    ending: ClassVar[str] = "pub"
    public: ClassVar[str] = "publicKey"
    what: ClassVar[str] = "key pair"
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "holders": (),
        "with_key": ("key", "modes"),
        "key_bits": (),
    }
    example: ClassVar[str] = """\
- name: service-accounts
  kind: keyPair
  path: /etc/kubernetes/pki/sa
  holders: [cp1, cp2, cp3]
"""

    def make(self, spec: KeyPairSpec) -> Action:
        return placing.key_pair(spec.path, spec.key_bits)

    def identify(self, text: str) -> str:
        try:
            load_pem_public_key(text.encode("utf-8", "replace"))
        except ValueError:
            return ""
        return hashlib.sha256("".join(text.split()).encode()).hexdigest()


__all__ = ["KeyPairExecutor", "KeyPairSpec"]
