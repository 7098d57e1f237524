"""What templates read, as digests: so that a changed fact or output can be named as the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubexms.config.template import Sensitive, Unknown
from kubexms.plan.conceal import Concealer
from kubexms.state.digest import digest

_TRACKED = ("facts", "outputs")


def input_digests(reads: Iterable[str], scope: Mapping[str, object], conceal: Concealer) -> dict[str, str]:
    """Digests of the facts and outputs among `reads`, by dotted name. Unknown ones are left out."""
    found: dict[str, str] = {}
    for name in reads:
        root, _, rest = name.partition(".")
        if root not in _TRACKED or not rest:
            continue
        value = lookup(scope.get(root), rest)
        if isinstance(value, Sensitive):
            found[name] = conceal.keyed(value.value)
        elif value is not NOTHING and not isinstance(value, Unknown):
            found[name] = digest(value)
    return found


NOTHING = object()
"""There is no such name."""


def lookup(value: object, path: str) -> object:
    """Follow a dotted path; `NOTHING` where it leads nowhere.

    Keys may hold dots (`os/step.name`): the longest key wins.
    """
    while path:
        if not isinstance(value, Mapping):
            return NOTHING if not isinstance(value, Unknown) else value
        head, _, last = path.rpartition(".")
        if head in value:  # also what cannot be listed, only looked up: outputs
            value, path = value[head], last
            continue
        key = next(
            (
                k
                for k in sorted(map(str, value), key=len, reverse=True)
                if path == k or path.startswith(k + ".")
            ),
            None,
        )
        if key is None:
            return NOTHING
        value, path = value[key], path[len(key) + 1 :]
    return value
