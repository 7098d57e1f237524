"""Throwaway Linux hosts on one machine, for tests against the real thing.

`Fleet` boots hosts in a network of their own; `Host` is one of them, with its ground truth: what it
holds (`read`, `run`), what was written to it (`upper_listing`), and what reached its sshd
(`ssh_activity`). `missing()` says why this machine cannot have them.
"""

from tests.e2e.testbed.fleet import Fleet
from tests.e2e.testbed.host import Host, Kind
from tests.e2e.testbed.manifest import Entry
from tests.e2e.testbed.requirements import missing
from tests.e2e.testbed.sshlog import SshActivity

__all__ = ["Entry", "Fleet", "Host", "Kind", "SshActivity", "missing"]
