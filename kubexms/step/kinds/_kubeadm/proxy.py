"""kube-proxy is started anew on every node that is ready; the others get to it when they are back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROLLED = r"""
# listed JSONPATH WHAT...: one line for each object
listed() {
  path="{range .items[*]}$1{\"\\n\"}{end}"
  shift
  admin --request-timeout=30s -n kube-system get "$@" -o "jsonpath=$path"
}
# rolled SECONDS: waits for it. A DaemonSet replaces no pod that runs while one is not available, so that a
# node which is down holds up all others: where one is, the old pods of nodes that are ready are taken away
# here, one at a time. What is on the others the DaemonSet replaces itself, as soon as they are back.
rolled() {
  limit=$(($(date +%s) + $1)) every=
  until said=$(admin -n kube-system rollout status daemonset/kube-proxy --timeout=5s 2>&1); do
    case $(listed '{.status.containerStatuses[*].state.waiting.reason}' pods -l k8s-app=kube-proxy) in
    *CrashLoopBackOff*) limit=0 ;;
    esac
    if [ "$(date +%s)" -ge "$limit" ]; then
      echo "kube-proxy is not restarted everywhere: $(printf '%s\n' "$said" | tail -n 1)" >&2
      admin --request-timeout=30s -n kube-system get pods -l k8s-app=kube-proxy -o wide >&2 || :
      return 1
    fi
    status='{.status.conditions[?(@.type=="Ready")].status}'
    if nodes=$(listed "{.metadata.name} $status" nodes) &&
      pods=$(listed "{.spec.nodeName} {.metadata.name} {.metadata.labels.controller-revision-hash} \
$status/{.metadata.deletionTimestamp}" pods -l k8s-app=kube-proxy) &&
      new=$(listed '{.revision} {.metadata.labels.controller-revision-hash}' \
        controllerrevisions -l k8s-app=kube-proxy | sort -n | awk 'END { print $2 }'); then
      every=$(printf '%s\n%s\n' "$every" "$pods" | awk 'NF { print $1 }' | sort -u)
      next=$(printf '%s\n%s\n' "$nodes" "$pods" | awk -v new="$new" -v every="$(echo $every)" '
        NF == 2 { known[$1] = 1; if ($2 == "True") ready[$1] = 1; next }
        !ready[$1] { next }
        $3 == new && $4 == "True/" { good[$1] = 1; next }
        $3 != new && $4 == "True/" { old = $2; next }
        { busy = 1 }
        END {
          n = split(every, names, " ")
          for (i = 1; i <= n; i++) {
            if (!known[names[i]]) continue
            if (!ready[names[i]]) later = later " " names[i]
            else if (!good[names[i]]) left = 1
          }
          print later == "" || (left && (busy || old == "")) ? "wait" : left ? "delete " old : "done" later
        }')
      case $next in
      done*)
        echo "kube-proxy is started anew when the node is ready:${next#done}"
        return ;;
      delete*) admin --request-timeout=30s -n kube-system delete pod "${next#* }" --wait=false || : ;;
      esac
    fi
    sleep 1
  done
}
"""
"""Shell functions that need `admin`; `rolled` is to be called when the DaemonSet has been changed."""


def behind(pods: Mapping[str, Any] | None) -> str:
    """What the DaemonSet says of nodes that are not there yet, for a person; empty if there are none."""
    status = (pods or {}).get("status") or {}
    there, updated = status.get("currentNumberScheduled"), status.get("updatedNumberScheduled")
    if not isinstance(there, int) or not isinstance(updated, int) or updated >= there:
        return ""
    return (
        f"kube-proxy still runs with an earlier configuration on {there - updated} of {there} nodes: those "
        "that are not ready get this one when they are (`kubectl get nodes`)"
    )
