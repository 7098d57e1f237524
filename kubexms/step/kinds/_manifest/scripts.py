"""Shell of the kind `manifest`: asking what differs and what is remembered, applying, deleting."""

from __future__ import annotations

from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.shell import quote

NO_CLUSTER, TOO_EARLY = 3, 4

SIFT = r"""
# what differs, without what the API server and controllers keep for themselves, and without secrets;
# the whole of it is read, as a lone line does not tell what it is a part of
function kept(side, line) {
  if (line ~ /^[^ -]/) { part[side] = line; sub(/:.*/, "", part[side]); fields[side] = 0 }
  if (part[side] == "status") return 1
  if (part[side] != "metadata") return 0
  if (line ~ /^  [^ -]/) fields[side] = line ~ /^  managedFields:/
  return fields[side] || line ~ /^  (generation|resourceVersion|uid|creationTimestamp|selfLink): /
}
# an object of which nothing counts is not even named: whether it comes up here changes by itself as well
function tell(line) {
  if (object != told) print "= " object
  told = object
  print line
}
/^diff / {
  n = split($NF, p, "/")
  object = p[n]
  secret = object ~ /^v1\.Secret\./
  skip = 2
  part["-"] = part["+"] = ""
  next
}
skip > 0 { skip--; next }
/^@@ / { if ($2 ~ /^-0,0/) tell("new"); next }
/^ / { kept("-", substr($0, 2)); kept("+", substr($0, 2)); next }
/^[-+]/ {
  side = substr($0, 1, 1)
  if (!kept(side, substr($0, 2))) tell(secret ? side "(sensitive value)" : $0)
}
"""
"""awk: what differs, from `diff -N -U1000000` of directories with a file for each object."""

_KEY = r"""
function key(version, kind, space, name, group) {
  group = version
  if (!sub(/\/.*/, "", group)) group = ""
  return group " " kind " " (space == "default" || space == "<none>" ? "-" : space) " " name
}
"""

_OURS = "ours='--server-side --force-conflicts --field-manager kubexms'\n"

_ASK = r"""
[ -r /etc/kubernetes/admin.conf ] || exit 3
KUBECTL_EXTERNAL_DIFF='diff -N -U1000000'
TMPDIR=$(mktemp -d /run/kubexms.XXXXXXXX) || exit 5
export KUBECTL_EXTERNAL_DIFF TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
early=
if [ -n "$text" ]; then
  printf %s "$text" | admin --request-timeout=20s diff $ours -f - >"$TMPDIR/diff" 2>"$TMPDIR/said"
  status=$?
  if [ "$status" -gt 1 ]; then
    case $(cat "$TMPDIR/said") in
    *'namespaces "'*'not found'* | *'no matches for kind'*) early=1 ;;
    *) tail -n 1 "$TMPDIR/said"; exit 1 ;;
    esac
  fi
fi
REMEMBERED
[ -z "$early" ] || exit 4
[ -z "$text" ] || awk 'SIFT' "$TMPDIR/diff"
exit 0
"""

_KNOWN = r"""
# known: a line for each object that any set remembers: @ SET made|found UID VERSION KIND NAMESPACE NAME
known() {
  admin --request-timeout=20s get configmaps -n kube-system -l kubexms.io/objects \
    -o jsonpath='{range .items[*]}set {.metadata.name}{"\n"}{.data.objects}{"\n"}{end}' \
    >"$1.raw" 2>"$1.said" || { tail -n 1 "$1.said"; return 1; }
  awk '$1 == "set" && NF == 2 { s = $2; next } NF == 6 { print "@", s, $0 }' "$1.raw" >"$1"
}
# things ROWS: a manifest with no more than what names the objects VERSION KIND NAMESPACE NAME
things() {
  awk '{
    printf "---\napiVersion: %s\nkind: %s\nmetadata:\n  name: \"%s\"\n", $1, $2, $4
    if ($3 != "-") printf "  namespace: \"%s\"\n", $3
  }' "$1"
}
# there ROWS OUT: a line for each that is there
there() {
  things "$1" | admin --request-timeout=60s get --ignore-not-found --no-headers -f - -o custom-columns=\
V:.apiVersion,K:.kind,S:.metadata.namespace,U:.metadata.uid,N:.metadata.name,\
M:.metadata.managedFields[*].manager,O:.metadata.managedFields[*].operation,\
W:.metadata.ownerReferences[*].kind 2>"$2.said" | sed 's/^/? /' >"$2"
  ! grep -v -e '^Warning: ' "$2.said" >"$2.bad"
}
# live ROWS OUT: the same, where some kinds may not be known yet: those are asked for one by one
live() {
  if there "$1" "$2"; then return 0; fi
  if grep -v 'no matches for kind' "$2.bad" | tail -n 1 | grep .; then return 1; fi
  : >"$2.all"
  for of in $(awk '{ print $1 "|" $2 }' "$1" | sort -u); do
    awk -v of="$of" '$1 "|" $2 == of' "$1" >"$2.some"
    if there "$2.some" "$2"; then cat "$2" >>"$2.all"; continue; fi
    if grep -v 'no matches for kind' "$2.bad" | tail -n 1 | grep .; then return 1; fi
  done
  mv "$2.all" "$2"
}
"""

_RECALL = r"""
known "$TMPDIR/known" || exit 1
printf '%s\n' "$wanted" | awk -v set="kubexms-$set" 'KEY
$1 == "w" { want[key($2, $3, $4, $5)] = 1; next }
$2 == set { mine[key($5, $6, $7, $8)] = 1; any = 1 }
{ line[++n] = $0; at[n] = key($5, $6, $7, $8); whose[n] = $2 }
END {
  # what others remember counts only where it is about an object of this set
  for (i = 1; i <= n; i++) if (whose[i] == set || at[i] in want || at[i] in mine) print line[i]
}' - "$TMPDIR/known" >"$TMPDIR/told"
cat "$TMPDIR/told"
if grep -q "^@ kubexms-$set " "$TMPDIR/told"; then
  if [ -n "$early" ]; then early=; text=; echo early; fi
  printf '%s\n' "$wanted" | awk -v set="kubexms-$set" 'KEY
$1 == "w" { want[key($2, $3, $4, $5)] = 1; next }
$2 == set && !(key($5, $6, $7, $8) in want) { print $5, $6, $7, $8 }' - "$TMPDIR/known" >"$TMPDIR/left"
fi
if [ -s "$TMPDIR/left" ]; then
  { printf '%s\n' "$wanted" | sed -n 's/^w //p'; cat "$TMPDIR/left"; } >"$TMPDIR/rows"
  live "$TMPDIR/rows" "$TMPDIR/live" || exit 1
  cat "$TMPDIR/live"
  # what goes along; of what is made for each namespace, and by others, nothing is told
  types=
  while read -r version kind space name; do
    case $kind in
    Namespace)
      [ -n "$types" ] || types=$(admin --cache-dir "$TMPDIR/cache" api-resources --namespaced \
        --verbs=list,delete -o name 2>/dev/null | grep -v -e '^events' -e '^endpoints' -e '\.extensions$' |
        tr '\n' , | sed 's/,$//')
      set -- "$types" -n "$name" ;;
    CustomResourceDefinition) set -- "$name" -A ;;
    *) continue ;;
    esac
    admin --cache-dir "$TMPDIR/cache" --request-timeout=20s get "$@" --ignore-not-found --no-headers \
      -o custom-columns=V:.apiVersion,K:.kind,S:.metadata.namespace,N:.metadata.name,\
W:.metadata.ownerReferences[*].kind 2>/dev/null | awk -v of="$kind $name" '
      $5 != "<none>" || $2 " " $4 ~ /^(ConfigMap kube-root-ca\.crt|ServiceAccount default)$/ { next }
      $2 " " $4 ~ /^Secret default-token-/ { next }
      NF == 5 { print "! " of "\t" $1, $2, $3, $4 }'
  done <"$TMPDIR/left"
fi
""".replace("KEY", _KEY)

MERGE = (
    _KEY
    + r"""
$1 == "@" {
  k = key($5, $6, $7, $8)
  if ($2 != set) { lent[k] = $3; next }
  made[k] = $3; uid[k] = $4; by[$4] = $3; row[k] = $5 " " $6 " " $7 " " $8
  own[++owned] = k
  next
}
$1 == "?" { live[key($2, $3, $4, $6)] = $5; next }
$1 == "w" {
  k = key($2, $3, $4, $5)
  if (!(k in want)) list[++n] = k
  want[k] = 1
  row[k] = $2 " " $3 " " $4 " " $5
}
END {
  for (i = 1; i <= n; i++) {
    k = list[i]
    u = k in live ? live[k] : "-"
    if (u == "-") flag = before ? "made" : made[k]
    # the same object of another group, or what was made anew by others
    else if (!(k in made)) flag = u in by ? by[u] : k in lent ? lent[k] : "found"
    else flag = uid[k] != "-" && uid[k] != u && before ? "found" : made[k]
    print flag, u, row[k]
  }
  for (i = 1; i <= owned; i++) if (leaving && !(own[i] in want)) print made[own[i]], uid[own[i]], row[own[i]]
}
"""
)
"""awk: the lines of a set, from those of all sets (`@`), what is there (`?`) and what is wanted (`w`)."""

_REMEMBER = r"""
# merged BEFORE LEAVING: what the set is to remember, before or after it is applied, with what leaves or not
merged() {
  printf '%s\n' "$wanted" | awk -v set="kubexms-$set" -v before="$1" -v leaving="$2" 'MERGE' \
    "$dir/known" "$dir/live" -
}
remember() {
  {
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kubexms-%s\n  namespace: kube-system\n' "$set"
    printf '  labels: {app.kubernetes.io/managed-by: kubexms, kubexms.io/objects: "true"}\n'
    printf 'data:\n  objects: |\n'
    sed 's/^/    /' "$1"
  } | admin --request-timeout=60s apply $ours -f - >/dev/null
}
""".replace("MERGE", MERGE)

_BEFORE = r"""
dir=$KX_BACKUP
printf '%s\n' "$wanted" | sed 's/^w //' >"$dir/rows"
known "$dir/known" >&2 && live "$dir/rows" "$dir/live" >&2 || exit 1
# what is about to be made is remembered first: whoever cuts this off leaves nothing that nobody knows of
merged 1 1 >"$dir/objects"
remember "$dir/objects" || exit 1
"""

_AFTER = r"""
live "$dir/rows" "$dir/live" >&2 || exit 1
sed "s/^/@ kubexms-$set /" "$dir/objects" >"$dir/known"
merged '' 1 >"$dir/objects"
remember "$dir/objects" || exit 1
"""

_FORGET_LEFT = r"""
sed "s/^/@ kubexms-$set /" "$dir/objects" >"$dir/known"
merged '' '' >"$dir/objects"
remember "$dir/objects" || exit 1
rm -f "$dir/objects" "$dir/rows" "$dir"/known* "$dir"/live*
"""

_APPLY = r"""
applied() {
  n=0
  # objects of a kind or in a namespace that the manifest itself brings are accepted a moment later
  until said=$(admin --request-timeout=60s apply $ours -f "$1" 2>&1); do
    n=$((n + 1))
    case $said in
    *'no matches for kind'* | *'not found'*) [ "$n" -lt 10 ] || { echo "$said" >&2; return 1; } ;;
    *) echo "$said" >&2; return 1 ;;
    esac
    sleep 2
  done
  printf '%s\n' "$said"
}
"""

_DELETE = r"""
[ -e "$KX_BACKUP/manifest" ] && [ -r /etc/kubernetes/admin.conf ] || exit 0
admin --request-timeout=60s delete --ignore-not-found --timeout=240s -f "$KX_BACKUP/manifest"
"""


def asking(text: str, wanted: str, remembered: str | None) -> str:
    """What differs, and of a set what it remembers. Without `text` nothing is compared."""
    start = PATHS + ADMIN + _OURS + f"text={quote(text)}\n"
    if remembered is None:
        return start + _ASK.replace("REMEMBERED", "").replace("SIFT", SIFT)
    start += f"set={quote(remembered)}\nwanted={quote(wanted)}\n" + _KNOWN
    return start + _ASK.replace("REMEMBERED", _RECALL).replace("SIFT", SIFT)


def applying(payloads: tuple[str, ...], wanted: str, remembered: str | None, deletions: int) -> str:
    """Apply the payloads `early`, `definitions` (where they are given) and `manifest`.

    With a set: remember what is applied, then delete the payloads `leaving-0`, `leaving-1`, …
    """
    script = PATHS + ADMIN + _OURS + _APPLY + 'payload manifest >"$KX_BACKUP/manifest.new"\n'
    if remembered is not None:
        script += f"set={quote(remembered)}\nwanted={quote(wanted)}\n" + _KNOWN + _REMEMBER + _BEFORE
    if "early" in payloads:
        script += 'payload early >"$KX_BACKUP/early"\napplied "$KX_BACKUP/early" || exit 1\n'
    if "definitions" in payloads:
        script += (
            'payload definitions >"$KX_BACKUP/early"\n'
            'admin wait --for=condition=Established --timeout=60s -f "$KX_BACKUP/early" || exit 1\n'
        )
    script += 'applied "$KX_BACKUP/manifest.new" || exit 1\nrm -f "$KX_BACKUP/early"\n'
    if remembered is not None:
        script += _AFTER + _deleting(deletions) + _FORGET_LEFT
    return script + 'mv -f "$KX_BACKUP/manifest.new" "$KX_BACKUP/manifest"\n'


def removing(remembered: str | None, deletions: int) -> str:
    """Delete what was applied last; of a set the payloads `leaving-0`, …, and what it remembers."""
    if remembered is None:
        return PATHS + ADMIN + _DELETE
    name = quote(f"kubexms-{remembered}")
    return (
        PATHS
        + ADMIN
        + "[ -r /etc/kubernetes/admin.conf ] || exit 0\n"
        + _deleting(deletions)
        + f"admin --request-timeout=60s delete configmap {name} -n kube-system --ignore-not-found\n"
    )


def _deleting(deletions: int) -> str:
    return "".join(
        f'payload leaving-{index} >"$KX_BACKUP/leaving"\n'
        'admin delete --ignore-not-found --timeout=240s -f "$KX_BACKUP/leaving" || exit 1\n'
        'rm -f "$KX_BACKUP/leaving"\n'
        for index in range(deletions)
    )
