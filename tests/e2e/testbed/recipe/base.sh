#!/bin/bash
# base.sh OUT   the root file system that all systemd hosts share: this machine's own distribution and
#               release, from its own configured apt sources. Network is needed here and in repo.sh only.
set -euo pipefail
out=$1
here=$(cd "$(dirname "$0")" && pwd)
. /etc/os-release
site=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages' |
    sed -n "s/^$VERSION_CODENAME //p" | head -1)
[ -n "$site" ] || { echo "no apt source for $VERSION_CODENAME is configured" >&2; exit 1; }
components=main
[ "$ID" != ubuntu ] || components=main,universe
packages=systemd,systemd-sysv,dbus,openssh-server,python3,python3-apt,iproute2,procps,sudo
packages+=,ca-certificates,kmod,iptables,nftables,e2fsprogs,acl
debootstrap --variant=minbase --components=$components --include=$packages "$VERSION_CODENAME" "$out" "$site"
rm -f "$out"/var/cache/apt/archives/*.deb

# Users: keys are put in place per host; opspw may use its password for ssh and must for sudo.
in_base() { chroot "$out" "$@"; }
for user in ops opspw nosudo; do in_base useradd --create-home --shell /bin/bash $user; done
echo opspw:secret | in_base chpasswd
printf '%s\n' 'ops ALL=(ALL:ALL) NOPASSWD: ALL' 'opspw ALL=(ALL:ALL) ALL' >"$out/etc/sudoers.d/testbed"
chmod 440 "$out/etc/sudoers.d/testbed"

# sshd tells every connection and every channel, into a file of its own so that tests can count them.
cat >"$out/etc/ssh/sshd_config.d/testbed.conf" <<'SSHD'
PermitRootLogin prohibit-password
PasswordAuthentication yes
UseDNS no
HostKey /etc/ssh/ssh_host_ed25519_key
LogLevel DEBUG1
SSHD
echo 'SSHD_OPTS=-E/var/log/sshd.log' >"$out/etc/default/ssh"

# Each host makes its own identity at first boot.
rm -f "$out"/etc/ssh/ssh_host_* "$out/var/lib/dbus/machine-id"
: >"$out/etc/machine-id"

# What costs time at boot or touches the real machine.
units="$out/etc/systemd/system"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer getty@tty1.service console-getty.service systemd-pstore.service; do
    ln -sf /dev/null "$units/$unit"
done
# Time services start, although a host must not set the clock of the machine it runs on.
mkdir -p "$units"/{chrony,systemd-timesyncd}.service.d
printf '[Unit]\nConditionCapability=\n[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -x $DAEMON_OPTS\n' \
    >"$units/chrony.service.d/testbed.conf"
printf '[Unit]\nConditionCapability=\nConditionVirtualization=\n[Service]\nAmbientCapabilities=\n' \
    >"$units/systemd-timesyncd.service.d/testbed.conf"

install -m 755 "$here/init" "$out/usr/local/sbin/testbed-init"
in_base systemd-sysusers
touch "$out/etc/.updated" "$out/var/.updated" # saves "first boot after an update" at every first boot
mkdir -p "$out/srv/repo"
