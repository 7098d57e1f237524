#!/bin/bash
# light.sh BASE REPO OUT   the root file system of the hosts without systemd, bash, sudo or GNU coreutils:
#                          busybox for everything, and the sshd of BASE with just the libraries it needs.
set -euo pipefail
base=$1 repo=$2 out=$3
mkdir -p "$out"/{bin,sbin,usr/bin,usr/sbin,usr/lib,etc/ssh,dev,proc,sys,run,root,home,srv/repo,mnt}
mkdir -p "$out"/var/{log,empty,lib,tmp} "$out/tmp"
chmod 1777 "$out/tmp" "$out/var/tmp"
chmod 700 "$out/root"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
dpkg-deb -x "$(ls "$repo"/busybox-static_*.deb)" "$unpacked"
install -m 755 "$(find "$unpacked" -path "*bin/busybox" -type f)" "$out/bin/busybox"
for applet in $("$out/bin/busybox" --list-full); do
    [ "$applet" = bin/busybox ] || { mkdir -p "$out/${applet%/*}" && ln -sf /bin/busybox "$out/$applet"; }
done

copy_program() { # path   with the libraries it is linked to
    local file
    for file in "$1" $(chroot "$base" ldd "$1" | grep -o '/[^ ]*'); do
        mkdir -p "$out/${file%/*}"
        cp -L "$base$file" "$out$file"
    done
}
for program in /usr/sbin/sshd /usr/lib/openssh/sftp-server /usr/lib/openssh/sshd-session /usr/lib/openssh/sshd-auth; do
    [ ! -e "$base$program" ] || copy_program "$program"
done

cat >"$out/etc/passwd" <<'PASSWD'
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
sshd:x:101:65534::/run/sshd:/bin/false
ops:x:1000:1000::/home/ops:/bin/sh
nosudo:x:1002:1002::/home/nosudo:/bin/sh
PASSWD
printf '%s\n' root:x:0: tty:x:5: nogroup:x:65534: ops:x:1000: nosudo:x:1002: >"$out/etc/group"
printf '%s:*:19000:0:99999:7:::\n' root nobody sshd ops nosudo >"$out/etc/shadow"
chmod 600 "$out/etc/shadow"
for user in ops nosudo; do
    mkdir -p "$out/home/$user"
done
chown 1000:1000 "$out/home/ops"
chown 1002:1002 "$out/home/nosudo"
printf 'ID=testbed-light\nNAME="Testbed light"\nVERSION_ID=1\n' >"$out/etc/os-release"
cat >"$out/etc/ssh/sshd_config" <<'SSHD'
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
HostKey /etc/ssh/ssh_host_ed25519_key
LogLevel DEBUG1
Subsystem sftp /usr/lib/openssh/sftp-server
SSHD
cat >"$out/etc/inittab" <<'INIT'
::sysinit:/bin/mkdir -p /run/sshd
::respawn:/usr/sbin/sshd -D -E /var/log/sshd.log
::respawn:/sbin/syslogd -n
INIT
