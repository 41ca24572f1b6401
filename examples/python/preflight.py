"""May this host join this pool? `preflight.py pool.json host.json`: two saved snapshots."""

import pathlib
import sys

import xcp_pool

if len(sys.argv) != 3:
    sys.exit(__doc__)
pool, host = (xcp_pool.Snapshot.load(pathlib.Path(path).read_text()) for path in sys.argv[1:])
report = xcp_pool.Report(pool, host)
print(report)
sys.exit(0 if report.verdict == "ready" else 1)
