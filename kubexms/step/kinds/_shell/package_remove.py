"""Removes packages, and takes back what a step brought."""

from __future__ import annotations

from kubexms.step.kinds._shell.package_common import COMMON, RESOLVE

REMOVE = (
    COMMON
    + r"""
# gone NAME...: removes these, and nothing that nobody named
gone() {
  mend
  if [ "$dependents" -eq 0 ]; then
    case $tool in
      apt)
        also=$(apt-get -s -q remove "$@" 2>/dev/null | awk '$1 == "Remv" { print $2 }')
        extra=
        for p in $also; do
          case " $* " in *" $p "*|*" ${p%%:*} "*) ;; *) extra="$extra $p" ;; esac
        done ;;
      dnf) extra=$(rpm -e --test "$@" 2>&1 | sed -n 's/.*(installed)//p' | sort -u | tr -d '\n') ;;
    esac
    if [ -n "$extra" ]; then
      echo "not removed: this would also remove$extra (name them, or allow it by 'withDependents: true')" >&2
      exit 1
    fi
  fi
  case $tool in
    apt)
      if [ "$purge" -eq 1 ]; then set -- purge "$@"; else set -- remove "$@"; fi
      apt --allow-change-held-packages "$@" || complain ;;
    dnf) locked $dnf -y --setopt=clean_requirements_on_remove=False remove "$@" || complain ;;
  esac
}
"""
)

UNDO = (
    COMMON
    + RESOLVE
    + r"""
# withdraw NAME...: removes these and the dependencies that came with them, as far as nobody else needs them
withdraw() {
  mend
  close
  touch "$KX_BACKUP/added" "$KX_BACKUP/configs" "$KX_BACKUP/auto"
  case $tool in apt) withdraw_apt "$@" ;; dnf) withdraw_rpm "$@" ;; esac
}
present() {
  for p do
    case $(dpkg-query -W -f '${db:Status-Abbrev}\n' -- "$p" 2>/dev/null) in
      ''|?n*|?c*) ;;
      *) printf '%s\n' "$p" ;;
    esac
  done
}
withdraw_apt() {
  ours=$(present "$@")
  added=$(present $(cat "$KX_BACKUP/added"))
  if [ -n "$ours$added" ]; then
    [ -z "$added" ] || apt-mark auto $added >/dev/null
    [ -z "$ours" ] || apt-mark manual $ours >/dev/null
    set -- -o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false
    direct=$(apt-get -s -q remove $ours 2>/dev/null | awk '$1 == "Remv" { print $2 }')
    extra=
    for p in $direct; do
      case " $(echo $ours $added) " in *" $p "*|*" ${p%%:*} "*|*" $p:"*) ;; *) extra="$extra $p" ;; esac
    done
    if [ -n "$extra" ]; then
      echo "not removed: other packages need what this step brought:$extra" >&2
      exit 1
    fi
    free=$(apt-get -s -q "$@" --auto-remove remove $ours 2>/dev/null | awk '$1 == "Remv" { print $2 }')
    rest=
    for p in $free; do
      case " $(echo $ours $added) " in *" $p "*|*" ${p%%:*} "*|*" $p:"*) rest="$rest $p" ;; esac
    done
    [ -z "$rest" ] || apt --allow-change-held-packages remove $rest || complain
    for p in $rest; do
      # configuration that was left over before we came stays
      grep -qx -e "$p" -e "${p%%:*}" "$KX_BACKUP/configs" || printf '%s\n' "$p"
    done >"$KX_BACKUP/purge"
    [ ! -s "$KX_BACKUP/purge" ] || locked dpkg --purge $(cat "$KX_BACKUP/purge") || complain
  fi
  for p in $(present $(cat "$KX_BACKUP/auto")); do printf '%s\n' "$p"; done >"$KX_BACKUP/marks"
  [ ! -s "$KX_BACKUP/marks" ] || xargs apt-mark auto <"$KX_BACKUP/marks" >/dev/null
}
withdraw_rpm() {
  set -- $(rpm -q --qf '%{NAME}\n' -- "$@" 2>/dev/null | grep -v ' ' || :)
  added=$(rpm -q --qf '%{NAME}.%{ARCH}\n' -- $(cat "$KX_BACKUP/added") 2>/dev/null | grep -v ' ' || :)
  [ -n "$*$added" ] || return 0
  if ! rpm -e --test $added "$@" >/dev/null 2>&1; then
    added=
    rpm -e --test "$@" >&2 || { echo 'not removed: other packages need what this step brought' >&2; exit 1; }
  fi
  locked $dnf -y --setopt=clean_requirements_on_remove=False remove $added "$@" || complain
}
# back NAME VERSION...: these were installed before; a version that nobody offers any more cannot come back
back() {
  while [ "$#" -gt 0 ]; do
    case $tool in
      apt)
        now=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}\n' -- "$1" 2>/dev/null | sed -n 's/^.i *//p') ;;
      dnf)
        f='%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n'
        now=$(rpm -q --qf "$f" -- "$1" 2>/dev/null | sed -n 's/^0://;/^[0-9]/p') ;;
    esac
    if [ "$now" != "$2" ]; then
      mend
      v=$(set -f; resolve "$1" "$2")
      case $tool in
        apt)
          set -- "$1" "$2" "$1${v:+=$v}"
          if [ -n "$v" ] || [ -z "$now" ]; then
            apt --allow-downgrades --allow-change-held-packages install "$3" || complain
          fi ;;
        dnf)
          set -- "$1" "$2" "$1${v:+-$v}"
          if [ -n "$v" ] && [ -n "$now" ]; then locked $dnf -y downgrade "$3" || complain
          elif [ -z "$now" ]; then locked $dnf -y install "$3" || complain; fi ;;
      esac
      [ -n "$v" ] || echo "$1 was at $2, which nobody offers now: it stays at ${now:-what is on offer}" >&2
      shift 3
    else
      shift 2
    fi
  done
}
"""
)
