#!/bin/bash
# repo.sh BASE OUT   an apt repository in one directory, from which hosts install without any network:
#                    real packages with what BASE lacks of their dependencies, and two made here for tests.
set -euo pipefail
base=$1 out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work"/{lists,cache,state}
apt=(apt-get -qq -y -o "Dir::State=$work/state" -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o "Dir::State::status=$base/var/lib/dpkg/status" -o APT::Install-Recommends=false -o Debug::NoLocking=true
    -o APT::Sandbox::User=root -o APT::Update::Post-Invoke= -o DPkg::Post-Invoke=)
"${apt[@]}" update
export DEBIAN_FRONTEND=noninteractive
"${apt[@]}" --download-only install hello tree jq cowsay chrony cron rsync socat conntrack ipset ethtool curl \
    gnupg logrotate containerd runc nginx-light containernetworking-plugins ebtables haproxy \
    etcd-server etcd-client keepalived >/dev/null
# apart from the others, with which it may conflict
(cd "$out" && "${apt[@]}" download busybox-static >/dev/null)
mv "$work"/cache/archives/*.deb "$out/"

# kubexms-sample: a command and a configuration file, in two versions, for upgrades, pins and conffiles
# kubexms-sampled: the same with a systemd unit
for version in 1.0 1.1; do
    for name in kubexms-sample kubexms-sampled; do
        tree=$work/$name-$version
        mkdir -p "$tree/DEBIAN" "$tree/usr/bin" "$tree/etc"
        printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: testbed <testbed@localhost>\n' \
            "$name" "$version" >"$tree/DEBIAN/control"
        printf 'Description: a package for tests\n' >>"$tree/DEBIAN/control"
        printf '# settings of %s\nlevel = info\n' "$name" >"$tree/etc/$name.conf"
        echo "/etc/$name.conf" >"$tree/DEBIAN/conffiles"
        if [ $name = kubexms-sample ]; then
            printf '#!/bin/sh\necho %s %s\n' "$name" "$version" >"$tree/usr/bin/$name"
        else
            printf '#!/bin/sh\n# reads its settings once, at start\n. /dev/null\nexec sleep infinity\n' \
                >"$tree/usr/bin/$name"
            mkdir -p "$tree/lib/systemd/system"
            printf '[Unit]\nDescription=A service for tests\n[Service]\nExecStart=/usr/bin/%s\n' "$name" \
                >"$tree/lib/systemd/system/$name.service"
            printf 'ExecReload=/bin/kill -CONT $MAINPID\n[Install]\nWantedBy=multi-user.target\n' \
                >>"$tree/lib/systemd/system/$name.service"
        fi
        chmod 755 "$tree/usr/bin/$name"
        dpkg-deb --root-owner-group --build "$tree" "$out/${name}_${version}_all.deb" >/dev/null
    done
done
cd "$out"
dpkg-scanpackages --multiversion . >Packages 2>/dev/null
gzip --keep --force Packages

# The hosts know this repository and nothing else.
rm -rf "$base"/etc/apt/sources.list "$base"/etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/repo ./' >"$base/etc/apt/sources.list"
mount --bind "$out" "$base/srv/repo"
trap 'umount "$base/srv/repo"; rm -rf "$work"' EXIT
chroot "$base" apt-get -qq update
