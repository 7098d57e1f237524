"""Whether a host has packages in some version, or could install them: asked without changing anything.

For a check that runs in the read-only guard. Lists that are too old are fetched into the check's own
scratch directory, as an installation would fetch them into their place.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.step.kinds._shell.package_common import RESOLVE
from kubexms.step.kinds._shell.package_probe import TOOL
from kubexms.step.shell import quote, words

_OFFER = (
    TOOL
    + RESOLVE
    + r"""
nl='
'
dnf='dnf -C'
fresh=
# have NAME: the version that is installed
have() {
  case $tool in
    apt) dpkg-query -W -f '${db:Status-Abbrev} ${Version}\n' -- "$1" 2>/dev/null | sed -n 's/^.i[^ ]* *//p' ;;
    dnf) rpm -q --qf '%{VERSION}-%{RELEASE}\n' -- "$1" 2>/dev/null | grep '^[0-9]' ;;
  esac | head -n 1
}
# offers NAME: every version, the newest first
offers() {
  case $tool in
    apt) apt-cache madison -- "$1" 2>/dev/null | awk -F '|' '{ gsub(/ /, "", $2); print $2 }' ;;
    dnf) $dnf -q repoquery --showduplicates --qf '%{version}-%{release}\n' "$1" 2>/dev/null | sort -rV ;;
  esac
}
# on_offer NAME...: all of them, in the version that is wanted
on_offer() {
  for n do [ -n "$(resolve "$n" "$want")" ] || return 1; done
}
# told NAME: the newest versions that are known of, on one line
told() {
  { printf '%s' "$fresh" | sed -n "s/^$1 //p"; offers "$1"; } |
    awk 'NF && !seen[$0]++ && ++n <= 8 { printf "%s%s", (n > 1 ? ", " : ""), $0 }'
}
# refreshed NAME...: whether the repositories have them by now
refreshed() {
  s=$TMPDIR/offer
  [ -n "$TMPDIR" ] && mkdir -p "$s" || return 1
  ulimit -S -f unlimited 2>/dev/null
  end=$(($(date +%s) + 40))
  if [ "$tool" = apt ]; then apt_refreshed "$@"; else dnf_refreshed "$@"; fi
}
# One file of sources at a time, those of Kubernetes first: the scratch directory has no room for the lists of
# a whole distribution. Of the host's settings only those of the transport count: what it is told to do after
# an update is about its own lists.
apt_refreshed() {
  {
    apt-config dump | grep -i '^Acquire::\|^APT::Architecture'
    echo 'Dir::Etc::Main "/dev/null"; Dir::Etc::Parts "/dev/null"; Dir::Etc::SourceParts "/dev/null";'
    echo "Dir::State::Lists \"$s/lists\"; Dir::Cache \"$s/cache\"; APT::Sandbox::User \"root\";"
    echo 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";'
    echo 'Acquire::Languages "none"; Acquire::GzipIndexes "true"; Acquire::Retries "0";'
  } >"$s/base"
  first= last=
  for f in /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list; do
    [ -s "$f" ] || continue
    if grep -qi 'k8s\|kube' "$f"; then first="$first$f$nl"; else last="$last$f$nl"; fi
  done
  printf '%s' "$first$last" >"$s/sources"
  while IFS= read -r f; do
    left=$((end - $(date +%s)))
    [ "$left" -gt 0 ] || return 1
    rm -rf "$s/lists" "$s/cache"
    mkdir -p "$s/lists/partial" "$s/cache/archives/partial"
    echo "Dir::Etc::SourceList \"$f\";" | cat "$s/base" - >"$s/conf"
    export APT_CONFIG="$s/conf"
    timeout "$left" apt-get -qq update >/dev/null 2>&1 </dev/null
    on_offer "$@" && return
    for n do fresh="$fresh$(offers "$n" | sed "s/^/$n /")$nl"; done
    unset APT_CONFIG
  done <"$s/sources"
  return 1
}
dnf_refreshed() {
  ids=$(dnf -q -C repolist 2>/dev/null | awk '{ print $1 }' | grep -i 'k8s\|kube')
  [ -n "$ids" ] || return 1
  dnf="timeout 40 dnf --setopt=cachedir=$s --disablerepo=*"
  for id in $ids; do dnf="$dnf --enablerepo=$id"; done
  on_offer "$@"
}
"""
)


def offer_check(names: Sequence[str], version: str) -> str:
    """sh that succeeds where all packages are there in `version` or could be; else it prints why not.

    A package that is newer than that counts as not there: package tools do not go back unasked.
    """
    return (
        f"{_OFFER}want={quote(version)}\nset -- {words(tuple(names))}\n"
        r"""
[ -n "$tool" ] || { echo 'It has neither dpkg nor rpm.'; exit 1; }
missing= newer=
for n do
  h=$(have "$n")
  case ${h#*:} in
    "$want" | "$want"-*) continue ;;
    '') ;;
    *) [ "$(printf '%s\n' "${h#*:}" "$want" | sort -V | tail -n 1)" = "$want" ] || newer="$newer, $n $h" ;;
  esac
  missing="$missing $n"
done
if [ -n "$newer" ]; then
  echo "Installed is ${newer#, }, which is newer, and package tools do not go back."
  exit 1
fi
[ -n "$missing" ] || exit 0
if on_offer $missing || refreshed $missing; then exit 0; fi
for n in $missing; do
  v=$(told "$n")
  echo "$n: ${v:-in none of its repositories}"
done
exit 1
"""
    )
