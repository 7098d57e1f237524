"""The kubelet on the host's disk is of the version that the node is to have."""

from __future__ import annotations

from kubexms.step.kinds._shell.package_install import INSTALL
from kubexms.step.shell import quote

INSTALL_LIMIT = 1800.0
"""Seconds that a package may take to come, besides what else an action does."""

_IS = r"""
have=$(kubelet --version)
if [ "$have" != "Kubernetes $want" ]; then
PUT
  have=$(kubelet --version)
fi
[ "$have" = "Kubernetes $want" ] || { echo "the kubelet here is $have, and is to be $want" >&2; exit 1; }
"""

_PUT = r"""
(
  wait_for=300 refresh=auto max_age= downgrade=0 recommends= held=1 newest=0
  INSTALL
  there NAME VERSION
  mark hold NAME
)
"""


def kubelet_is(package: str = "") -> str:
    """Sh that fails unless the kubelet is of the version `$want` (`v1.31.4`).

    With a package (`kubelet=1.31.4`) another kubelet is replaced by that, which is held then; the package
    may start it at once.
    """
    name, _, version = package.partition("=")
    put = _PUT.replace("NAME", quote(name)).replace("VERSION", quote(version)) if package else "  :"
    return _IS.replace("PUT", put.replace("INSTALL", INSTALL).strip("\n"))
