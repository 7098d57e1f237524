#!/bin/bash
# prepare.sh PYTHON   makes this machine fit for the tests on real hosts, as far as it can be: packages by apt,
#                     then the hosts' cached images. Says what it does, or why those tests will be skipped.
set -euo pipefail
python=$1
skip() { echo "tests on real hosts will be skipped: $1"; exit 0; }
[ "$(uname -s)" = Linux ] || skip "they need Linux"
[ "$(id -u)" = 0 ] || skip "they need root (namespaces, mounts, systemd-nspawn)"

packages="openssh-server openssh-client systemd-container debootstrap iproute2 procps sudo dash bash kmod
    nftables iptables dpkg-dev ca-certificates util-linux prometheus"
if command -v apt-get >/dev/null; then
    absent=
    for package in $packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' $package 2>/dev/null)" = installed ] || absent+=" $package"
    done
    command -v busybox >/dev/null || absent+=" busybox-static"
    if [ -n "$absent" ]; then
        echo "installing$absent"
        export DEBIAN_FRONTEND=noninteractive
        log=$(mktemp)
        # no service of the machine is started by what is installed here
        policy=/usr/sbin/policy-rc.d
        [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; trap 'rm -f $policy' EXIT; }
        { apt-get -qq update && apt-get -qq -y install --no-install-recommends $absent; } >"$log" 2>&1 ||
            { tail -20 "$log"; skip "apt could not install$absent"; }
        rm -f "$log"
    fi
fi
# pages are looked at in a browser; without one those tests say that they are skipped
if command -v apt-get >/dev/null && ! command -v chromium >/dev/null && apt-cache show chromium >/dev/null 2>&1; then
    echo "installing chromium"
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends chromium >/dev/null 2>&1 ||
        echo "tests of pages in a browser will be skipped: apt could not install chromium"
fi
reason=$("$python" -c 'from tests.e2e.testbed import missing; print(missing() or "")')
[ -z "$reason" ] || skip "$reason"
"$python" -m tests.e2e.testbed images || skip "their images could not be built (the output above says why)"
