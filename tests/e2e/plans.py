"""python -m tests.e2e.plans DIRECTORY COUNT: so many plans and looks for drift over one connection a host.

Prints as JSON what was found other than nothing; run inside the hosts' network.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from kubexms.plan.model import PlanOptions
from kubexms.services.drift import report_of, utc_now
from kubexms.services.planning import prepare
from kubexms.services.project import Settings, open_project


def main(directory: str, count: int) -> None:
    """Each round is a plan of its own; only the login is shared."""
    project = open_project(Settings(root=Path(directory), environ=dict(os.environ)))
    connector = project.connector(keep=True)
    found: list[str] = []
    try:
        for number in range(count):
            options = PlanOptions(operation="drift")
            snapshot = project.store.snapshot()
            prepared = prepare(project, options, connector, snapshot, listener=lambda event: None)
            report = report_of(project, prepared, utc_now())
            found += [f"{number}: {c.action} {c.address} {c.changed}" for c in prepared.plan.effective]
            found += [f"{number}: drift of {c.address} {c.changed}" for c in report.drifted]
            found += [f"{number}: {address} {why}" for address, why in report.unknown.items()]
            found += [f"{number}: {host} {why}" for host, why in report.unreachable.items()]
    finally:
        connector.close()
        project.close()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
