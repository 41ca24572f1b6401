"""Follows a pool on the simulator until three changes were seen."""

from xcp_pool import Client, Simulator

with Simulator.story() as world, world.transport() as way, Client(way, "phantom", "root", "xcp-test") as pool:
    with pool.watch("everything") as watch:
        for host in pool.call("host.get_all"):
            for name in ("Spectre", "Wraith", "Phantom"):
                pool.call("host.set_name_label", host, name)
        for seen, change in enumerate(watch, 1):
            print(change["operation"], change["class"], change["ref"])
            if change["class"] == "host" or seen == 3:
                watch.cancel()
