"""Several objects of the API at once: starting kubectl takes longer than all of its answers."""

from __future__ import annotations

GET_ALL = r"""
# get_all FORMAT KIND/NAMESPACE/NAME ...: those of them that there are, as a list. What kubectl says besides
# counts only where it fails: then its last line is printed, and the status is 1.
get_all() {
  format=$1 wanted=
  shift
  for object do
    case $object in ConfigMap/*) version=v1 ;; *) version=apps/v1 ;; esac
    space=${object#*/}
    wanted="$wanted{\"apiVersion\":\"$version\",\"kind\":\"${object%%/*}\",\"metadata\":"
    wanted="$wanted{\"namespace\":\"${space%%/*}\",\"name\":\"${space#*/}\"}}
"
  done
  some() { printf %s "$wanted" | admin --request-timeout=10s get -f - --ignore-not-found -o "$format"; }
  some 2>/dev/null || { some 2>&1 >/dev/null | tail -n 1; return 1; }
}
"""
"""Sh, needs `ADMIN`; for ConfigMaps, DaemonSets and Deployments."""

SETTLED = r"""
# settled: a list in JSON, as kubectl indents it, without what moves by itself while nodes come and go: its
# status, but for how many nodes have a pod of a DaemonSet, and who wrote which field when.
settled() {
  awk '
    /^            "status": \{$/ { status = 1; kept = ""; next }
    status && /^            \}/ {
      print "            \"status\": {" kept "}" substr($0, 14)
      status = 0
      next
    }
    status && $1 ~ /^"(current|updated)NumberScheduled":$/ {
      sub(/,$/, "")
      kept = kept (kept ? ", " : "") $1 " " $2
    }
    status { next }
    /^                "managedFields": \[$/ { fields = 1 }
    fields { if (/^                \],?$/) fields = 0; next }
    /^                "(resourceVersion|generation)": / { next }
    { print }
  '
}
"""
"""Sh. An answer that is another one each time would be taken for a host that keeps changing."""
