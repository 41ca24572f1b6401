"""What calls of the library cost in Python: prints a name and nanoseconds a line. usage: abi.py [seconds for each]"""

import sys
import time

import xcp_pool
from xcp_pool import Report, Simulator, Snapshot

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0


def measure(name, call):
    start, best, batch = time.perf_counter(), 1e9, 1
    while True:
        began = time.perf_counter()
        for _ in range(batch):
            call()
        took = time.perf_counter() - began
        best = min(best, took / batch)
        if took < SECONDS / 20:
            batch *= 2
        if time.perf_counter() - start >= SECONDS:
            break
    print(f"{name}\t{best * 1e9:.1f}")


def failure():
    try:
        Snapshot.load("[")
    except xcp_pool.Error as error:
        return str(error)
    raise AssertionError("no error")


hosts = [{"name": f"host{n}", "address": f"10.0.1.{n}"} for n in range(1, 65)]
ignite = {
    "hosts": [{"name": "ignite", "address": "10.0.2.1"}],
    "shared_srs": [{"name": "nfs", "type": "nfs"}],
    "vlans": [{"name": "lab", "nic": 0, "tag": 7}],
    "vms": [{"name": "a"}, {"name": "b", "power": "running", "host": "ignite"}],
}
world = Simulator({"pools": [{"name": "large", "hosts": hosts}, ignite]})
pool, host = (Snapshot.load(world.database(name)) for name in ("host1", "ignite"))
report = Report(pool, host)
measure("a number of an object", lambda: len(report))
measure("an error with its message", failure)
measure("the report of 64 hosts as JSON", report.to_dict)
measure("its preflight, as JSON", lambda: Report(pool, host).to_dict())
