"""Asking about accounts and groups, and changing them, by shadow's tools or busybox's."""

from __future__ import annotations

_SCAN = r"""
function line(key, text) { return key "=" text "\n" }
BEGIN { FS = ":"; n = split(ENVIRON["KX_NAMES"], names, " "); for (i = 1; i <= n; i++) wanted[names[i]] = 1 }
FILENAME == "-" || FILENAME == "" {
  if ($1 in wanted && !($1 in entry)) { entry[$1] = line("passwd", $0); gid[$1] = $4 }
  next
}
FILENAME ~ /group$/ {
  if (!($3 in called)) called[$3] = $1
  m = split($4, members, ",")
  for (i = 1; i <= m; i++) if (members[i] in wanted) groups[members[i]] = groups[members[i]] line("group", $1)
  next
}
$1 in wanted { secret[$1] = line("shadow", $2) }
END {
  for (i = 1; i <= n; i++) {
    u = names[i]
    if (!(u in entry)) { print ""; continue }
    primary = (gid[u] in called) ? line("primary", called[gid[u]]) : ""
    printf "%s%s%s%s\n", entry[u], primary, groups[u], secret[u]
  }
}
"""

PROBE = (
    r"""
nl='
'
# load NAME...: the lines of all accounts, in blocks ended by an empty line; "$blocks" begins with the names
load() {
  files=/etc/group
  denied=denied=1
  if [ -r /etc/shadow ]; then files="$files /etc/shadow"; denied=; fi
  if command -v getent >/dev/null; then entries=$(getent passwd "$@"); else entries=$(cat /etc/passwd); fi
  KX_NAMES="$*"
  export KX_NAMES
  blocks=$(printf '%s\n' "$entries" | awk '"""
    + _SCAN
    + r"""' - $files; echo .)
}
# row NAME DIGEST HOME: one record
row() {
  t= home= rest=$blocks
  for name in $KX_NAMES; do
    block=${rest%%"$nl$nl"*}
    case $rest in
      "$nl"*) block= rest=${rest#"$nl"} ;;
      *) rest=${rest#*"$nl$nl"} ;;
    esac
    [ "$name" != "$1" ] || break
  done
  set -f
  IFS=$nl
  for l in $block; do
    case $l in
      passwd=*) t="$t$l$nl"; home=${l%:*}; home=${home##*:} ;;
      shadow=*) secret "${l#shadow=}" "$2" ;;
      *) t="$t$l$nl" ;;
    esac
  done
  IFS=' '
  set +f
  if [ -n "$t" ]; then
    [ -z "$denied" ] || t="$t$denied$nl"
    [ ! -d "${3:-$home}" ] || t="${t}home=1$nl"
  fi
  emit 0 "$t"
}
# secret HASH DIGEST: whether it is locked, and with DIGEST what stands for the hash, as it is and unlocked
secret() {
  case $1 in '!'*|'*'*) t="${t}locked=1$nl" ;; esac
  [ "$2" = 1 ] || return
  for h in "$1" "${1#!}"; do
    s=$(printf %s "$h" | sha256sum)
    t="${t}sum=${s%% *}$nl"
  done
}
"""
)

USER = r"""
PATH=$PATH:/usr/sbin:/sbin
known() { if command -v getent >/dev/null; then getent passwd "$1"; else grep "^$1:" /etc/passwd; fi; }
home_of() { h=$(known "$1"); h=${h%:*}; printf '%s' "${h##*:}"; }
# the line with the hash, for undo; the directory is private, the file too
save() {
  [ -e "$KX_BACKUP/shadow" ] || (umask 077; grep "^$name:" /etc/shadow >"$KX_BACKUP/shadow" || :)
}
# need TOOL OTHER: one of them is there
need() {
  command -v "$1" >/dev/null || command -v "$2" >/dev/null ||
    { echo "this host has neither $1 nor $2, so $name cannot be changed" >&2; exit 1; }
}
# make: the account that the variables describe; nested and system are 1 or empty
make() {
  if known "$name" >/dev/null; then
    alter
    [ -z "$nested" ] || nest
    return
  fi
  need useradd adduser
  h=${home:-/home/$name}
  [ -z "$nested" ] || [ -e "$h" ] || printf '%s' "$h" >"$KX_BACKUP/home"
  if command -v useradd >/dev/null; then
    # useradd refuses when a group of the account's name is there already
    if [ -z "$group" ] && grep -q "^$name:" /etc/group; then group=$name; fi
    if [ -n "$nested" ]; then set -- -m; else set -- -M; fi
    [ -z "$system" ] || set -- "$@" -r
    [ -z "$uid" ] || set -- "$@" -u "$uid"
    [ -z "$group" ] || set -- "$@" -g "$group"
    [ -z "$groups" ] || set -- "$@" -G "$groups"
    [ -z "$shell" ] || set -- "$@" -s "$shell"
    [ -z "$home" ] || set -- "$@" -d "$home"
    [ -z "$commented" ] || set -- "$@" -c "$comment"
    useradd "$@" "$name"
    return
  fi
  set -- -D
  [ -n "$nested" ] || set -- "$@" -H
  [ -z "$system" ] || set -- "$@" -S
  [ -z "$uid" ] || set -- "$@" -u "$uid"
  [ -z "$group" ] || set -- "$@" -G "$group"
  [ -z "$shell" ] || set -- "$@" -s "$shell"
  [ -z "$home" ] || set -- "$@" -h "$home"
  [ -z "$commented" ] || set -- "$@" -g "$comment"
  adduser "$@" "$name"
  join
}
join() {
  [ -z "$groups" ] || need usermod addgroup
  IFS=,
  for g in $groups; do addgroup "$name" "$g"; done
  IFS=' '
}
alter() {
  if ! command -v usermod >/dev/null; then
    if [ -n "$uid$group$shell$home$commented$exact" ]; then
      echo "this host has no usermod: only groups can be added to $name" >&2
      exit 1
    fi
    join
    return
  fi
  set --
  [ -z "$uid" ] || set -- "$@" -u "$uid"
  [ -z "$group" ] || set -- "$@" -g "$group"
  if [ -n "$exact" ]; then set -- "$@" -G "$groups"
  elif [ -n "$groups" ]; then set -- "$@" -a -G "$groups"; fi
  [ -z "$shell" ] || set -- "$@" -s "$shell"
  [ -z "$home" ] || set -- "$@" -d "$home"
  [ -z "$commented" ] || set -- "$@" -c "$comment"
  [ "$#" -eq 0 ] || usermod "$@" "$name"
}
# a home directory for an account that has none
nest() {
  h=$(home_of "$name")
  [ ! -d "$h" ] || return 0
  printf '%s' "$h" >"$KX_BACKUP/home"
  mkdir -p "${h%/*}"
  cp -R /etc/skel "$h" 2>/dev/null || mkdir "$h"
  chown -R "$name": "$h"
  chmod 0700 "$h"
}
lock() {
  need usermod passwd
  if command -v usermod >/dev/null; then
    if [ "$1" = 1 ]; then usermod -L "$name"; else usermod -U "$name"; fi
  elif [ "$1" = 1 ]; then passwd -l "$name"; else passwd -u "$name"; fi
}
# drop HOME: the account, and with 1 its home
drop() {
  known "$name" >/dev/null || return 0
  need userdel deluser
  h=$(home_of "$name")
  if command -v userdel >/dev/null; then
    if [ "$1" = 1 ]; then userdel -r "$name" || [ "$?" = 12 ]; else userdel "$name"; fi
  else
    if [ "$1" = 1 ]; then deluser --remove-home "$name"; else deluser "$name"; fi
  fi
  # an empty mailbox came with the account
  for m in "/var/mail/$name" "/var/spool/mail/$name"; do
    [ ! -f "$m" ] || [ -s "$m" ] || rm -f "$m"
  done
}
"""
"""Shell functions for actions on the account `$name`."""

RECREATE = r"""
# unnest FORCE: a home that came with the step goes if it holds what /etc/skel gave, or by FORCE
unnest() {
  [ -s "$KX_BACKUP/home" ] || return 0
  h=$(cat "$KX_BACKUP/home")
  [ -d "$h" ] && [ ! -L "$h" ] || return 0
  if [ "$1" = 0 ]; then
    own=$(cd "$h" && find . ! -type d | while IFS= read -r f; do cmp -s "$f" "/etc/skel/$f" || echo 1; done)
    if [ -n "$own" ]; then
      echo "$h holds files of its own and stays (removeHome: true removes it)" >&2
      return 0
    fi
  fi
  rm -rf "$h"
}
# withdraw FORCE: the account goes, and its home with it
withdraw() {
  known "$name" >/dev/null || return 0
  drop 0
  unnest "$1"
}
recreate() {
  append= exact=1 commented=1
  if known "$name" >/dev/null; then
    # a value that is as it should be is not set again: usermod refuses some while the account is in use
    l=$(known "$name")
    [ "$(printf '%s' "$l" | cut -d: -f3)" != "$uid" ] || uid=
    [ "$(printf '%s' "$l" | cut -d: -f6)" != "$home" ] || home=
    alter
    unnest 0
  else
    case $group in *[!0-9]*) grep -q "^$group:" /etc/group || group= ;; esac
    nested= system=
    make
  fi
  if [ -s "$KX_BACKUP/shadow" ]; then cut -d: -f1,2 "$KX_BACKUP/shadow" | chpasswd -e; fi
}
"""
