"""`package` for real: apt, in a machine whose repository is on its own disk."""

from __future__ import annotations

import shutil

import pytest

from tests.steps.machine import Machine
from tests.steps.on_machine import Step

_REPOSITORY = r"""
set -e
mkdir -p /srv/repo
deb() { # NAME VERSION DEPENDS CONFIG
  d=/tmp/deb-$1
  mkdir -p "$d/DEBIAN" "$d/usr/share/kt-$1"
  echo "$2" >"$d/usr/share/kt-$1/version"
  {
    printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$1" "$2"
    printf 'Maintainer: x <x@example.com>\nDescription: test\n'
    [ -z "$3" ] || echo "Depends: $3"
  } >"$d/DEBIAN/control"
  if [ -n "$4" ]; then
    mkdir -p "$d/etc"
    echo "$4" >"$d/etc/$1.conf"
    echo "/etc/$1.conf" >"$d/DEBIAN/conffiles"
  fi
  dpkg-deb -b "$d" "/srv/repo/$1_$2.deb" >/dev/null
  rm -rf "$d"
}
deb ktlib 1.0 '' ''
deb ktapp 1.0-1 ktlib one
deb ktapp 1.1-1 ktlib two
deb ktapp 2:2.0-1 ktlib three
deb ktother 1.0 ktlib ''
cd /srv/repo
for f in *.deb; do
  dpkg-deb -f "$f"
  echo "Filename: ./$f"; echo "Size: $(stat -c %s "$f")"
  echo "SHA256: $(sha256sum "$f" | cut -d' ' -f1)"; echo
done >Packages
rm -rf /etc/apt/sources.list.d /etc/apt/sources.list /var/lib/apt/lists /etc/apt/preferences.d
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list
"""
_INSTALLED = r"""
dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'
apt-mark showauto
ls /etc | grep kt || :
"""


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt")
class TestPackages:
    def test_installed_with_what_it_needs_and_back(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        was = host.sh(_INSTALLED)
        step = Step(host, "package", packages=["ktapp=1.*"])
        assert step.observe().presence == "absent"
        prior = step.apply()
        assert step.observe().attributes == {"ktapp": "1.1-1"}
        assert host.sh("cat /etc/ktapp.conf") == "two\n"
        step.subject.undo(step.spec, prior)
        assert host.sh(_INSTALLED) == was

    def test_up_and_down_and_held(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        Step(host, "package", packages=["ktapp=1.0"]).apply()
        host.sh("echo mine >/etc/ktapp.conf")
        assert "without --allow-downgrades" not in Step(host, "package", packages=["ktapp=9"]).fails()
        latest = Step(host, "package", packages=["ktapp"], state="latest")
        assert latest.observe().attributes == {"ktapp": "1.0-1 (2:2.0-1 is available)"}
        latest.apply()
        assert "--allow-downgrades" in Step(host, "package", packages=["ktapp=1.1"]).fails()
        held = Step(host, "package", packages=["ktapp=1.1"], allowDowngrade=True, hold=True)
        held.apply()
        assert host.sh("apt-mark showhold") == "ktapp\n"
        assert host.sh("cat /etc/ktapp.conf") == "mine\n"

    def test_what_others_need_stays(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        step = Step(host, "package", packages=["ktlib"])
        prior = step.apply()
        host.sh("apt-get -qq install -y ktother")
        assert "ktother" in Step(host, "package", packages=["ktlib"], state="absent").fails()
        action = step.executor.undo(step.spec, prior)
        assert action is not None
        outcome = host.act(action)
        assert outcome.status == 1
        assert b"other packages need what this step brought: ktother" in outcome.stderr

    def test_an_interrupted_dpkg_goes_on(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY + "dpkg --unpack /srv/repo/ktlib_1.0.deb /srv/repo/ktapp_1.0-1.deb >/dev/null")
        step = Step(host, "package", packages=["ktapp"])
        assert step.observe().attributes == {"ktapp": "(unpacked)"}
        step.apply()
        assert step.observe().attributes == {"ktapp": "1.0-1"}

    def test_a_killed_transaction_is_still_taken_back(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        was = host.sh(_INSTALLED)
        step = Step(host, "package", packages=["ktapp"])
        prior = step.observe()
        action = step.executor.action(step.spec, step.subject.request(step.spec))
        # the script ends between the installation and the writing down of what it brought
        cut = action.script.replace("comm -13", "kill -9 $$; comm -13")
        assert cut != action.script
        assert host.act(type(action)(cut, timeout=action.timeout)).status != 0
        assert step.observe().attributes == {"ktapp": "2:2.0-1"}
        step.subject.undo(step.spec, prior)
        assert host.sh(_INSTALLED) == was

    def test_removed_and_back(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY + "apt-get -qq update; apt-get -qq install -y ktapp=1.1-1")
        Step(host, "package", packages=["ktapp", "nosuch"], state="absent").there_and_back()

    def test_nothing_of_that_name(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        assert "Unable to locate package nosuch" in Step(host, "package", packages=["nosuch"]).fails()
        assert (
            "no such version is on offer: ktapp=7.*" in Step(host, "package", packages=["ktapp=7.*"]).fails()
        )
