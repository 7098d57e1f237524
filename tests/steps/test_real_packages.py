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


@pytest.mark.timeout(3600)  # a dozen runs of apt and dpkg take minutes on a busy machine
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

    def test_several_steps_share_a_transaction_and_each_takes_back_its_own(
        self, host_with_stand_ins: Machine
    ) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        was = host.sh(_INSTALLED)
        first, second = (
            Step(host, "package", packages=["ktapp=1.0-1"]),
            Step(host, "package", packages=["ktother"]),
        )
        priors = [step.observe() for step in (first, second)]
        outcome = first.subject.member(0).sandbox.act(first.subject.merged([first.spec, second.spec]))
        assert outcome.status == 0, outcome.stderr.decode()
        assert [first.observe().attributes, second.observe().attributes] == [
            {"ktapp": "1.0-1"},
            {"ktother": "1.0"},
        ]
        first.subject.member(0).undo(first.spec, priors[0])
        # what both brought stays as long as one of them needs it
        assert second.observe().attributes == {"ktother": "1.0"}
        assert "ktlib" in host.sh(_INSTALLED)
        second.subject.member(1).undo(second.spec, priors[1])
        assert host.sh(_INSTALLED) == was

    def test_a_shared_transaction_that_was_killed_is_taken_back_step_by_step(
        self, host_with_stand_ins: Machine
    ) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        was = host.sh(_INSTALLED)
        steps = [Step(host, "package", packages=[name]) for name in ("ktapp", "ktother")]
        priors = [step.observe() for step in steps]
        action = steps[0].subject.merged([step.spec for step in steps])
        cut = action.script.replace("comm -13", "kill -9 $$; comm -13")
        assert steps[0].subject.member(0).sandbox.act(type(action)(cut, timeout=action.timeout)).status != 0
        steps[0].subject.member(0).undo(steps[0].spec, priors[0])
        assert steps[1].observe().attributes == {"ktother": "1.0"}
        steps[1].subject.member(1).undo(steps[1].spec, priors[1])
        assert host.sh(_INSTALLED) == was

    def test_one_that_is_not_on_offer_fails_the_shared_transaction(
        self, host_with_stand_ins: Machine
    ) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        steps = [Step(host, "package", packages=[name]) for name in ("ktapp", "nosuch", "ktother")]
        action = steps[0].subject.merged([step.spec for step in steps])
        outcome = steps[0].subject.member(0).sandbox.act(action)
        assert outcome.status == 1
        assert b"Unable to locate package nosuch" in outcome.stderr
        assert [step.observe().presence for step in steps] == ["absent"] * 3

    def test_held_together(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(_REPOSITORY)
        steps = [Step(host, "package", packages=[name], hold=True) for name in ("ktapp=1.*", "ktother")]
        action = steps[0].subject.merged([step.spec for step in steps])
        assert steps[0].subject.member(0).sandbox.act(action).status == 0
        assert host.sh("apt-mark showhold") == "ktapp\nktother\n"
        assert all(step.observe().attributes["onHold"] is True for step in steps)
