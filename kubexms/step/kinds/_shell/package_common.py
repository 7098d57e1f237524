"""What installing and removing share: locks, an interrupted dpkg, and a record of what a step brought."""

from __future__ import annotations

from kubexms.step.kinds._shell.package_probe import TOOL

COMMON = (
    TOOL
    + r"""
PATH=$PATH:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical APT_LISTCHANGES_FRONTEND=none \
  NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1
[ -n "$tool" ] || { echo 'this host has neither dpkg nor rpm' >&2; exit 1; }
dnf=dnf
command -v dnf >/dev/null || dnf=yum
log=$KX_BACKUP/log
steps=${KX_BACKUP%/*} own=${KX_BACKUP##*/}
# the directories of the steps that this is done for; others_of DIRECTORY: what the other ones name
members=$own
others_of() { :; }
# locked COMMAND...: runs it; while another package tool holds the lock, waits and tries again
locked() {
  until=$(($(date +%s) + wait_for)) said=
  while :; do
    code=0
    "$@" >"$log" 2>&1 || code=$?
    [ "$code" -ne 0 ] && [ "$(date +%s)" -lt "$until" ] || break
    m='could not get lock|unable to (acquire|lock)|locked by another process'
    grep -Eqi "$m" "$log" || break
    # who may not lock waits for nobody
    ! grep -Eqi 'permission denied|are you root' "$log" || break
    [ -n "$said" ] || { echo 'waiting for another package tool:'; grep -i lock "$log"; } >&2
    said=1
    sleep 2
  done
  [ -n "$said" ] || grep -m 1 '^Waiting for cache lock' "$log" >&2 || :
  return "$code"
}
complain() { tail -n 30 "$log" >&2; exit 1; }
apt() {
  set -- apt-get -y -q -o "DPkg::Lock::Timeout=$wait_for" -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"
  locked "$@"
}
# an interrupted dpkg refuses everything until it is told to go on
mend() {
  [ "$tool" = apt ] || return 0
  set -- /var/lib/dpkg/updates/[0-9]*
  if [ -e "$1" ] || [ -n "$(dpkg --audit 2>/dev/null)" ]; then
    echo 'dpkg was interrupted: going on with dpkg --configure -a' >&2
    locked dpkg --force-confdef --force-confold --configure -a || complain
  fi
}
# What is installed, one name a line. A transaction that was killed left "open": what it brought is ours,
# but for what other steps named that shared it.
installed() {
  case $tool in
    apt) dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package}\n' | sed -n 's/^.[^n c][^ ]* *//p' | sort ;;
    dnf) rpm -qa --qf '%{NAME}.%{ARCH}\n' | sort -u ;;
  esac
}
close() {
  for m in $members; do [ ! -e "$steps/$m/open" ] || break; done
  [ -e "$steps/$m/open" ] || return 0
  installed >"$log.now"
  for m in $members; do close_one "$steps/$m"; done
  rm -f "$log.now"
}
close_one() {
  [ -e "$1/open" ] || return 0
  touch "$1/added" "$1/others"
  comm -13 "$1/open" "$log.now" | awk -v tool="$tool" -v others=" $(tr '\n' ' ' <"$1/others") " '
    { n = $0; sub(tool == "apt" ? /:.*/ : /\.[^.]*$/, "", n); if (!index(others, " " n " ")) print }' |
    sort -u - "$1/added" >"$1/next"
  sync "$1/next" 2>/dev/null || sync
  mv -f "$1/next" "$1/added"
  rm -f "$1/open" "$1/others"
}
begin() {
  close
  installed >"$log.opening"
  if [ "$tool" = apt ]; then
    dpkg-query -W -f '${db:Status-Abbrev} ${binary:Package}\n' | sed -n 's/^.c *//p' >"$log.configs"
    apt-mark showauto >"$log.auto"
  fi
  for m in $members; do
    if [ "$tool" = apt ] && [ ! -e "$steps/$m/configs" ]; then
      cat "$log.auto" >"$steps/$m/auto"
      cat "$log.configs" >"$steps/$m/configs"
    fi
    others_of "$m" >"$steps/$m/others"
    cat "$log.opening" >"$steps/$m/opening"
  done
  rm -f "$log.opening" "$log.configs" "$log.auto"
  set --
  for m in $members; do set -- "$@" "$steps/$m/others" "$steps/$m/opening"; done
  sync "$@" 2>/dev/null || sync
  for m in $members; do mv -f "$steps/$m/opening" "$steps/$m/open"; done
}
mark() {
  action=$1
  shift
  [ "$#" -gt 0 ] || return 0
  case $tool-$action in
    apt-*) apt-mark "$action" "$@" >/dev/null ;;
    dnf-hold)
      $dnf -q -y versionlock add "$@" >"$log" 2>&1 || {
        echo 'dnf versionlock failed: is python3-dnf-plugin-versionlock installed?' >&2; complain; } ;;
    dnf-unhold) $dnf -q -y versionlock delete "$@" >"$log" 2>&1 || : ;;
  esac
}
"""
)

RESOLVE = r"""
# forms VERSION: as it is, without epoch, without revision, without both
forms() {
  printf '%s\n' "$1"
  f=$1
  case $1 in [0-9]*:*) f=${1#*:}; printf '%s\n' "$f" ;; esac
  case $1 in *-*) printf '%s\n%s\n' "${1%-*}" "${f%-*}" ;; esac
}
# resolve NAME PATTERN: the newest version on offer that matches
resolve() {
  case $tool in
    apt) apt-cache madison -- "$1" 2>/dev/null | awk -F '|' '{ gsub(/ /, "", $2); print $2 }' ;;
    dnf)
      $dnf -q repoquery --showduplicates --qf '%{epoch}:%{version}-%{release}\n' "$1" 2>/dev/null |
        sed 's/^0://; /^$/d' | sort -rV ;;
  esac | while IFS= read -r v; do
    for f in $(forms "$v"); do
      case $f in $2) printf '%s' "$v"; exit ;; esac
    done
  done
}
"""
