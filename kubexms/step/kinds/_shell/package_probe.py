"""Asks dpkg or rpm about all packages at once."""

from __future__ import annotations

TOOL = r"""
tool=
if [ -s /var/lib/dpkg/status ] && command -v dpkg-query >/dev/null; then tool=apt
else
  # busybox has an rpm of its own, which knows no database of packages
  case $(command -v rpm) in
    /*) case $(readlink -f "$(command -v rpm)") in *busybox*) ;; *) tool=dnf ;; esac ;;
  esac
fi
"""

PROBE = (
    TOOL
    + r"""
nl='
'
# load NAME...: "$all" holds "name arch status version" lines of everything that was asked about
load() {
  case $tool in
    apt)
      f='${Package} ${Architecture} ${db:Status-Abbrev} ${Version}\n'
      all=$(dpkg-query -W -f "$f" -- "$@" 2>/dev/null) ;;
    dnf)
      all=$(rpm -q --qf '%{NAME} %{ARCH} ii %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' -- "$@" 2>/dev/null |
        sed -n 's/^\([^ ]* [^ ]* ii \)\(0:\)\{0,1\}/\1/p')
      locks=$(cat /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list 2>/dev/null) ;;
  esac
  # a value that starts and ends with a newline can be searched for whole lines
  all=$nl$all$nl
}
offers=
offered() {
  case $tool in
    apt)
      offers=$(apt-cache policy -- "$@" 2>/dev/null |
        awk '/^[^ ]/ { sub(/:$/, ""); n = $0 } $1 == "Candidate:" { print n, $2 }') ;;
    dnf)
      f='%{name} %{epoch}:%{version}-%{release}\n'
      offers=$(dnf -q -C repoquery --upgrades --latest-limit 1 --qf "$f" "$@" 2>/dev/null |
        sed -n 's/^\([^ ]* \)\(0:\)\{0,1\}/\1/p') ;;
  esac
}
# row NEWEST NAME...: the record of one step, with NEWEST=1 also what is on offer
row() {
  if [ -z "$tool" ]; then emit 1 'error=this host has neither dpkg nor rpm'; return; fi
  t="tool=$tool$nl"
  newest=$1
  shift
  for name do
    want=${name%%:*} arch=
    case $name in *:*) arch=${name#*:} ;; esac
    rest=$all
    while :; do
      case $rest in *"$nl$want "*) ;; *) break ;; esac
      rest=$nl${rest#*"$nl$want "}
      line=${rest#"$nl"}
      line=${line%%"$nl"*}
      have=${line%% *}
      line=${line#* }
      state=${line%% *}
      version=${line##* }
      [ -z "$arch" ] || [ "$arch" = "$have" ] || continue
      case $state in
        ?i|?W|?t) t="${t}pkg=$name $version$nl" ;;
        ?U) t="${t}half=$name unpacked$nl" ;;
        ?F|?H) t="${t}half=$name half-installed$nl" ;;
      esac
      case $state in h*) t="${t}held=$name$nl" ;; esac
    done
    case $tool$nl$locks$nl in dnf*"$nl$want-"[0-9]*) t="${t}held=$name$nl" ;; esac
    [ "$newest" = 1 ] || continue
    case $nl$offers$nl in *"$nl$name "*)
      offer=$nl$offers$nl
      offer=${offer#*"$nl$name "}
      t="${t}offered=$name ${offer%%"$nl"*}$nl" ;;
    esac
  done
  emit 0 "$t"
}
locks=
"""
)
