#!/bin/bash
# prepare.sh PYTHON   makes this machine fit for the tests with Kubernetes, as far as it can be: the compiler by apt, then
#                     the programs and images, once. Says what it does, or why those tests will be skipped.
set -euo pipefail
python=$1
skip() { echo "tests with Kubernetes will be skipped: $1"; exit 0; }
state() { "$python" -c 'from tests.e2e.cluster import supply; print(supply.missing() or "")'; }
reason=$(state)
if [[ $reason == *"to compile Kubernetes"* ]] && command -v apt-get >/dev/null; then
    echo "installing golang-go gcc libc6-dev dpkg-dev"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq -y install --no-install-recommends golang-go gcc libc6-dev dpkg-dev; } \
        >"$log" 2>&1 || { tail -20 "$log"; skip "apt could not install the compiler"; }
    rm -f "$log"
    reason=$(state)
fi
[ -z "$reason" ] || skip "$reason"
"$python" -m tests.e2e.cluster.supply >/dev/null || skip "Kubernetes could not be built (the output above says why)"
