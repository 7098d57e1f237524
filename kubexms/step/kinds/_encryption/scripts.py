"""The shell that tells what an API server has read, and with what all objects have been written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

RECORD = "kubexms-stored"
"""The ConfigMap in kube-system: with what all objects of a resource have been written."""

RECORDED = r"""
recorded() {
  admin --request-timeout=10s -n kube-system get configmap NAME --ignore-not-found \
    -o go-template='{{range $k, $v := .data}}{{$k}} {{$v}}{{"\n"}}{{end}}' 2>&1
}
""".replace("NAME", RECORD)
"""Read-only; needs `admin` (ADMIN)."""

LOOK = r"""
plain() {
  v=${1#"${1%%[! ]*}"}
  case $v in \"*\" | \'*\') v=${v#?} v=${v%?} ;; esac
}
resource() {
  plain "$1"
  echo "resource $v"
  case " $listed " in *" $v "*) ;; *) lost=yes ;; esac
}
# values of keys stay here: of one that the document has it is said whether it is another one
look() {
  section= provider= key= lost=
  while read -r line || [ -n "$line" ]; do
    case $line in '- resources:'*) echo entry ;; esac
    line=${line#- }
    case $line in
    resources:*) section=resources ;;
    providers:*) section=providers ;;
    identity:*) echo 'provider identity' ;;
    secretbox:* | aescbc:* | aesgcm:* | kms:*) provider=${line%%:*} && echo "provider $provider" ;;
    name:*)
      plain "${line#name:}"
      key=$v
      [ "$section" != providers ] || echo "key $key"
      case " $known " in *" $provider:$key "*) ;; *) lost=yes ;; esac
      ;;
    secret:*)
      plain "${line#secret:}"
      sum=$(printf %s "$v" | sha256sum)
      case " $sums " in
      *" $provider:$key=${sum%% *} "*) ;;
      *" $provider:$key="*) echo "other $provider:$key" ;;
      esac
      ;;
    *) [ "$section" != resources ] || [ -z "$line" ] || resource "$line" ;;
    esac
  done <"$f"
}
configured=yes
if [ -n "$began" ]; then
  tr '\0' '\n' <"/proc/$p/cmdline" | grep -qxF -e "--encryption-provider-config=$f" || configured=
fi
if [ -n "$configured" ] && [ -e "$f" ]; then
  later configuration "$f"
  look || exit 1
  [ -z "$lost" ] || recorded | sed 's/^/recorded /'
fi
echo looked
"""
"""Read-only; needs `pid`, what tells of the process (SINCE), `recorded`, the file $f, digests $sums, and what
will be read: keys $known, resources $listed."""


def sums(values: Mapping[str, str]) -> str:
    """For `LOOK`: digests of keys by `PROVIDER:NAME`."""
    return " ".join(
        f"{name}={hashlib.sha256(value.strip().encode()).hexdigest()}" for name, value in values.items()
    )
