"""Installs packages by apt or dnf."""

from __future__ import annotations

from kubexms.step.kinds._shell.package_common import COMMON, RESOLVE

INSTALL = (
    COMMON
    + RESOLVE
    + r"""
fetch_lists() {
  case $tool in
    apt) locked apt-get -q -o "DPkg::Lock::Timeout=$wait_for" "update" || complain ;;
    dnf) locked $dnf -q -y makecache || complain ;;
  esac
  refresh=never
}
aged() {
  [ -n "$max_age" ] || return 1
  case $tool in apt) d=/var/lib/apt/lists ;; *) d=/var/cache/dnf ;; esac
  m=0
  for f in "$d"/* "$d"/*/repodata; do
    case $f in */partial|*/lock|*/auxfiles) continue ;; esac
    [ ! -e "$f" ] || { n=$(stat -c %Y "$f"); [ "$n" -le "$m" ] || m=$n; }
  done
  [ "$(($(date +%s) - m))" -gt "$max_age" ]
}
# count: how many of the names are of packages that are installed; one call for all of them
count() {
  dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' -- "$@" 2>/dev/null |
    sed -n 's/^.i[^ ]* *//p' | sort -u | wc -l
}
settled() {
  [ -z "$fresh" ] || return 1
  case $tool in
    apt) dpkg-query -W -f '${db:Status-Abbrev}\n' -- "$1" 2>/dev/null | grep -q '^.i' ;;
    dnf) rpm -q -- "$1" >/dev/null 2>&1 ;;
  esac
}
# upward NAME VERSION: dnf goes down without being asked; apt refuses by itself
upward() {
  f='%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n'
  have=$(rpm -q --qf "$f" -- "$1" 2>/dev/null | sed -n '/^[0-9]/p' | tail -n 1)
  case $2 in [0-9]*:*) to=$2 ;; *) to=0:$2 ;; esac
  if [ -n "$have" ] && [ "$have" != "$to" ]; then
    case $(printf '%s\n' "$have" "$to" | sort -V | tail -n 1) in
      "$have") echo "$1 is at $have: 'allowDowngrade: true' lets it go down to $to" >&2; exit 1 ;;
    esac
  fi
}
# choose NAME VERSION...: "$chosen" is what to ask the tool for; 1 if something is not on offer
choose() {
  chosen= missing=
  while [ "$#" -gt 0 ]; do
    if [ -z "$2" ]; then
      # naming what is there would upgrade it (it is there now if an interrupted dpkg has just gone on)
      [ "$newest" -eq 0 ] && settled "$1" || chosen="$chosen $1"
    else
      v=$(set -f; resolve "$1" "$2")
      case $tool in apt) s='=' ;; *) s=- ;; esac
      if [ -n "$v" ]; then chosen="$chosen $1$s$v"; else missing="$missing $1=$2"; fi
      if [ -n "$v" ] && [ "$tool" = dnf ] && [ "$downgrade" -eq 0 ]; then upward "$1" "$v"; fi
    fi
    shift 2
  done
  [ -z "$missing" ]
}
transact() {
  case $tool in
    apt)
      set -- install $chosen
      [ "$downgrade" -eq 0 ] || set -- --allow-downgrades "$@"
      [ "$held" -eq 0 ] || set -- --allow-change-held-packages "$@"
      [ -z "$recommends" ] || set -- -o "APT::Install-Recommends=$recommends" "$@"
      apt "$@" ;;
    dnf)
      weak=
      [ -z "$recommends" ] || weak=--setopt=install_weak_deps=$recommends
      # a version lock of our own must not keep us from changing the version
      [ "$held" -eq 0 ] || $dnf -q -y versionlock delete $names >/dev/null 2>&1 || :
      if [ "$downgrade" -ne 0 ]; then locked $dnf -y $weak --allowerasing install $chosen
      else locked $dnf -y $weak install $chosen; fi || return
      # "install" leaves what is installed at its version, unless one is named
      [ "$newest" -eq 0 ] || locked $dnf -y $weak upgrade $chosen ;;
  esac
}
# there NAME VERSION...: installs these
there() {
  names=
  n=$#
  while [ "$n" -gt 0 ]; do
    names="$names $1"
    set -- "$@" "$1" "$2"
    shift 2
    n=$((n - 2))
  done
  mend
  fresh=
  if [ "$tool" = apt ] && [ "$(count $names)" -eq 0 ]; then fresh=1; fi
  if [ "$refresh" = always ] || aged; then fetch_lists; fi
  if ! choose "$@" && [ "$refresh" = auto ]; then fetch_lists; choose "$@" || :; fi
  if [ -n "$missing" ]; then
    echo 'on offer:' >&2
    for name in $missing; do
      case $tool in
        apt) apt-cache madison -- "${name%%=*}" ;;
        *) $dnf -q repoquery --showduplicates "${name%%=*}" ;;
      esac 2>/dev/null | head -n 10 >&2
    done
    echo "no such version is on offer:$missing" >&2
    exit 1
  fi
  [ -n "$chosen" ] || return 0
  begin
  if ! transact; then
    # old lists name packages that are not there any more; a package may be too new for them
    m='Unable to (locate|fetch)|no installation candidate|Failed to fetch|unmet dep|No match for|No package'
    if [ "$refresh" != auto ] || ! grep -Eq "$m" "$log"; then close; complain; fi
    fetch_lists
    fresh=
    choose "$@" || complain
    transact || { close; complain; }
  fi
  close
  wanted=$(printf '%s\n' $names | sed 's/:.*//' | sort -u | wc -l)
  if [ "$tool" = apt ] && [ "$(count $names)" -ne "$wanted" ]; then
    for name in $names; do
      case $(dpkg-query -W -f '${db:Status-Abbrev}\n' -- "$name" 2>/dev/null) in
        *?i*) ;;
        *)
          echo "apt was content without $name: it is a virtual package; name the one that provides it" >&2
          exit 1 ;;
      esac
    done
  fi
}
"""
)
