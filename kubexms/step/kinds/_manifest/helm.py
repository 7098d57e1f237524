"""Shell of the kind `helmRelease`: helm and kubectl on a control plane, keeping nothing in root's home."""

from __future__ import annotations

from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.kinds._manifest.scripts import SIFT
from kubexms.step.shell import quote

NO_CLUSTER, NO_HELM, NO_RELEASE = 3, 4, 6

_HELM = r"""
TMPDIR=$(mktemp -d /run/kubexms.XXXXXXXX) || exit 5
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
server=$(sed -n 's/.*kube-apiserver\.advertise-address\.endpoint: *//p' \
  /etc/kubernetes/manifests/kube-apiserver.yaml 2>/dev/null) || server=
h() {
  env HOME="$TMPDIR" HELM_CACHE_HOME="$TMPDIR/c" HELM_CONFIG_HOME="$TMPDIR/f" HELM_DATA_HOME="$TMPDIR/d" \
    HELM_NO_PLUGINS=1 helm --kubeconfig /etc/kubernetes/admin.conf \
    ${server:+--kube-apiserver "https://$server"} --namespace "$space" "$@"
}
"""

# names of the claims of volumes that helm deletes with the release: what is in them goes, too
CLAIMS = r"""
  function told() { if (claim && !kept) print name; claim = kept = 0; name = "" }
  /^---/ { told() }
  /^kind: *"?PersistentVolumeClaim"? *$/ { claim = 1 }
  /^  name: / && name == "" { name = $2 }
  /helm\.sh\/resource-policy"?: *"?keep/ { kept = 1 }
  END { told() }
"""

_ASK = r"""
h history "$release" --max 1 -o json >"$TMPDIR/history" 2>"$TMPDIR/said" || {
  case $(cat "$TMPDIR/said") in *'release: not found'*) exit 6 ;; esac
  tail -n 1 "$TMPDIR/said"
  exit 1
}
echo "history $(tr -d '\n' <"$TMPDIR/history")"
echo "values $(h get values "$release" -o json 2>/dev/null | tr -d '\n')"
KUBECTL_EXTERNAL_DIFF='diff -N -U1000000'
export KUBECTL_EXTERNAL_DIFF
h get manifest "$release" 2>/dev/null >"$TMPDIR/manifest"
claims=$(awk 'CLAIMS' "$TMPDIR/manifest" | tr '\n' ' ')
[ -z "$claims" ] || echo "claims $claims"
if grep -q '^kind:' "$TMPDIR/manifest"; then
  # as a client: the objects are helm's, and what it applied is not known by a field manager
  admin --request-timeout=20s --namespace "$space" diff -f - \
    <"$TMPDIR/manifest" >"$TMPDIR/diff" 2>"$TMPDIR/said"
  [ $? -le 1 ] || { tail -n 1 "$TMPDIR/said"; exit 1; }
  awk 'SIFT' "$TMPDIR/diff"
fi
exit 0
""".replace("SIFT", SIFT).replace("'CLAIMS'", f"'{CLAIMS}'")

_APPLY = r"""
payload chart >"$TMPDIR/chart.tgz"
sum=$(sha256sum "$TMPDIR/chart.tgz")
[ "${sum%% *}" = "$digest" ] || { echo 'the chart has changed since the plan: plan again' >&2; exit 1; }
payload values >"$TMPDIR/values.json"
revisions() {
  h history "$release" -o json 2>/dev/null | tr '{' '\n' |
    sed -n 's/.*"revision":\([0-9]*\).*"status":"\([a-z-]*\)".*/\1 \2/p'
}
last=$(revisions | tail -n 1)
good=$(revisions | awk '$2 == "deployed" { found = $1 } END { print found }')
case $last in
*' pending-'* | *' failed')
  # what was cut off keeps helm from anything else; what never worked has nothing to be upgraded from
  if [ -z "$good" ]; then
    h uninstall "$release" --wait --timeout "$patience" >&2 || exit 1
  elif [ "${last#* }" != failed ]; then
    h rollback "$release" "$good" --timeout "$patience" >&2 || exit 1
  fi ;;
esac
h upgrade "$release" "$TMPDIR/chart.tgz" --install --create-namespace --reset-values \
  --values "$TMPDIR/values.json" --description "$description" $wait --timeout "$patience" >/dev/null
"""

_REMOVE = r"""
h status "$release" >/dev/null 2>"$TMPDIR/said" || case $(cat "$TMPDIR/said") in
*'release: not found'*) exit 0 ;;
esac
h uninstall "$release" --wait --timeout "$patience"
"""


def asking(release: str, namespace: str) -> str:
    """History and values as JSON, each behind its word, then what differs of the objects."""
    return _start(release, namespace, f"exit {NO_CLUSTER}", f"exit {NO_HELM}") + _ASK


def applying(release: str, namespace: str, sha256: str, description: str, wait: int) -> str:
    """Install or upgrade with the payloads `chart` and `values`; a release that was cut off is recovered."""
    missing = "{ echo 'helm is not installed on this host' >&2; exit 1; }"
    start = _start(release, namespace, "{ echo 'there is no cluster' >&2; exit 1; }", missing)
    patience = f"patience={wait or 300}s\nwait={'--wait' if wait else ''}\n"
    return start + patience + f"description={quote(description)}\ndigest={sha256}\n" + _APPLY


def removing(release: str, namespace: str, wait: int) -> str:
    """Uninstall, and wait until the objects are gone."""
    missing = "{ echo 'helm is not installed on this host' >&2; exit 1; }"
    return _start(release, namespace, "exit 0", missing) + f"patience={wait or 300}s\n" + _REMOVE


def _start(release: str, namespace: str, no_cluster: str, no_helm: str) -> str:
    return (
        PATHS
        + ADMIN
        + f"release={quote(release)}\nspace={quote(namespace)}\n"
        + f"[ -r /etc/kubernetes/admin.conf ] || {no_cluster}\n"
        + f"command -v helm >/dev/null || {no_helm}\n"
        + _HELM
    )
