#!/bin/bash
# kubernetes.sh WORK OUT   builds the programs of Kubernetes 1.20.2 from the distribution's source package with
#                          the distribution's Go, and two small stand-ins inside that tree, on its vendored
#                          libraries. OUT gets bin/, crictl and coredns. WORK (2 GB) may be deleted afterwards;
#                          if it is kept, what was compiled in it is not compiled again.
set -euo pipefail
mkdir -p "$1" "$2/bin"
work=$(cd "$1" && pwd) out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
version=v1.20.2
tree=$work/gopath/src/k8s.io/kubernetes
. /etc/os-release
site=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages' |
    sed -n "s/^$VERSION_CODENAME //p" | head -1)
[ -n "$site" ] || { echo "no apt source for $VERSION_CODENAME is configured" >&2; exit 1; }

if [ ! -d "$tree/cmd" ]; then
    mkdir -p "$work"/{source,lists/partial,packages,gopath/src/k8s.io}
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb-src [signed-by=$key] $site $VERSION_CODENAME main" >"$work/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$work/source" && "${apt[@]}" source --download-only kubernetes)
    dpkg-source --no-copy -x "$work"/source/*.dsc "$tree"
    # From Go 1.18 on, reflect2 1.0.1, which the tree has, compiles and then crashes.
    (cd "$work/packages" && apt-get -qq -o APT::Sandbox::User=root download golang-github-modern-go-reflect2-dev)
    dpkg-deb -x "$work"/packages/golang-github-modern-go-reflect2-dev_*.deb "$work/packages/x"
    rm "$tree"/vendor/github.com/modern-go/reflect2/*.{go,s}
    cp "$work"/packages/x/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} \
        "$tree/vendor/github.com/modern-go/reflect2/"
fi

export GO111MODULE=off GOFLAGS=-buildvcs=false CGO_ENABLED=0 GOPATH=$work/gopath GOCACHE=$work/gocache
cd "$tree"
if [ ! -e pkg/generated/openapi/zz_generated.openapi.go ]; then # the source package leaves it out
    go build -o "$work/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
    types=$(find -H . -not \( \( -path './_*' -o -path './.*' -o -path ./vendor \) -prune \) -name '*.go' -type f -print |
        sed 's|^./staging/src|vendor|; s|^\./||' |
        grep -vE '^vendor/k8s.io/(code-generator|sample-apiserver)/' |
        xargs grep -l '+k8s:openapi-gen=' | xargs -n1 dirname | LC_ALL=C sort -u |
        sed 's|^|k8s.io/kubernetes/|' | paste -sd,)
    GOROOT=$(go env GOROOT) "$work/openapi-gen" --logtostderr -i "$types" -p k8s.io/kubernetes/pkg/generated/openapi \
        -O zz_generated.openapi -h hack/boilerplate/boilerplate.generatego.txt -r "$work/violations.report"
fi

flags="-s -w -buildid="
for package in component-base/version client-go/pkg/version; do
    package=k8s.io/kubernetes/vendor/k8s.io/$package
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=20"
    flags+=" -X $package.gitTreeState=archive -X $package.buildDate=2021-01-13T13:28:09Z"
done
for program in kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
    go build -trimpath -tags selinux,notest -ldflags "$flags" -o "$out/bin/$program" "k8s.io/kubernetes/cmd/$program"
done
gcc -Os -static -s -DVERSION=v3.2 -o "$out/bin/pause" build/pause/linux/pause.c

for standin in crictl coredns; do # only inside the tree are its vendored libraries visible
    mkdir -p "cmd/zz-$standin"
    cp "$here/$standin/main.go" "cmd/zz-$standin/"
    go build -trimpath -ldflags "-s -w" -o "$out/$standin" "k8s.io/kubernetes/cmd/zz-$standin"
done
