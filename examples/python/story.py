"""Ignite joins the pool of Phantom, on the simulator: preflight, plan, join, and what came of it."""

from xcp_pool import Client, Simulator

with Simulator.story() as world, world.transport() as way:
    pool = Client(way, "phantom", "root", "xcp-test")
    host = Client(way, "ignite", "root", "xcp-test")
    print("the pool has", pool.snapshot().count("SR"), "SRs")

    report = pool.preflight(host)
    print(report, end="\n\n")
    plan = report.plan()
    print(plan, end="\n\n")

    consent = plan.losses["digest"]  # a person has seen them
    joined = pool.join(host, plan, consent, lambda at: print("  step", at["step"], "of", at["of"], at["summary"]))
    assert joined["missing"] == []
    print("the pool has", pool.snapshot().count("SR"), "SRs")
    with Client(way, "ignite", "root", "xcp-test") as led:
        print("a client pointed at ignite is led to", led.endpoint)
    host.close()
    pool.close()
