"""Joins of several hosts, single hosts, tasks, what-ifs and worlds from above; run beside test_xcp_pool.py."""

import unittest

import xcp_pool
from xcp_pool import (Client, Error, Fault, Joins, LocalSession, Plan, Report, Simulator, Snapshot, Transport,
                      TrustStore, diagnose, probe)

LAB = {"seed": 9, "pools": [
    {"name": "lab", "hosts": [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}],
     "shared_srs": [{"name": "NFS", "type": "nfs"}],
     "vms": [{"name": "web", "power": "running", "host": "b", "disks": [{"sr": "NFS", "gib": 9}]}]},
    {"hosts": [{"name": "c", "address": "10.0.0.3"}]},
    {"hosts": [{"name": "d", "address": "10.0.0.4"}]},
]}


class Pure(unittest.TestCase):
    def test_rules_are_told(self):
        rules = {rule["rule"]: rule for rule in xcp_pool.rules()}
        self.assertEqual(rules["pooling-unlicensed"]["xapi_check"], "assert_pooling_licensed")

    def test_the_master_lock_is_played(self):
        told = xcp_pool.master_lock({"me": 0, "n": 1, "online": 1, "events": ["propose", "update", "update"]})
        self.assertEqual((told["proposal"], told["holder"]), ("granted", 0))

    def test_the_packer_answers_for_sizes_alone(self):
        sizes = {"free": [3, 0], "size": [4], "placement": [[0, 1]], "failures": 1}
        self.assertEqual(xcp_pool.packing(sizes)["vms"], [0])

    def test_a_fingerprint_is_what_pins_take(self):
        print_ = xcp_pool.fingerprint(b"ab\0c")
        TrustStore.pins([print_]).close()
        self.assertNotEqual(print_, xcp_pool.fingerprint(b"ab"))

    def test_a_file_without_authorities_is_refused(self):
        with self.assertRaises(Error):
            TrustStore.authorities_file("/nonexistent/ca.pem")


class Lab(unittest.TestCase):
    def setUp(self):
        self.world = Simulator(LAB)
        self.way = self.world.transport()
        self.pool = self.client("a")
        for thing in (self.world, self.way, self.pool):
            self.addCleanup(thing.close)

    def client(self, host):
        client = Client(self.way, host, "root", "xcp-test")
        self.addCleanup(client.close)
        return client

    def joins(self, hosts):
        pool = self.pool.snapshot("preflight")
        choices = [{"rules": {"halted-vms": "delete"}}] + [None] * (len(hosts) - 1)
        return Joins([Report(pool, host.snapshot("preflight")) for host in hosts], choices)

    def test_several_hosts_join_one_after_the_other(self):
        hosts = [self.client("c"), self.client("d")]
        joins = Joins.load(self.joins(hosts).to_dict())
        self.assertTrue(joins.is_complete)
        self.assertEqual([joins[0].to_dict()["host"]["name"], joins[-1].to_dict()["host"]["name"]], ["c", "d"])
        with self.assertRaises(IndexError):
            joins[2]
        self.assertEqual(joins.losses["digest"], joins.losses_digest)
        self.assertIn(joins.losses_digest, str(joins))
        self.assertRegex(joins.digest, "^sha256:[0-9a-f]{64}$")
        steps = []
        told = self.pool.join_many(hosts, joins, joins.losses_digest, progress=steps.append, deadline=7200)
        self.assertTrue(told["all_joined"])
        self.assertEqual([host["outcome"] for host in told["hosts"]], ["done", "done"])
        self.assertTrue(steps)
        self.assertEqual(self.world.count("a", "host"), 4)

    def test_what_became_of_each_host_is_told(self):
        hosts = [self.client("c"), self.client("d")]
        joins = self.joins(hosts)
        self.world.trouble("reset", host="c", method="Async.pool.join")
        told = self.pool.join_many(hosts, joins, joins.losses_digest, on_failure="continue")
        self.assertEqual(([host["outcome"] for host in told["hosts"]], told["all_joined"]), (["not-done", "done"], False))
        self.assertTrue(told["hosts"][0]["evidence"])
        with self.assertRaises(Error):
            self.pool.join_many(hosts[:1], joins, joins.losses_digest)

    def test_a_master_is_chosen_on_evidence(self):
        snapshot = self.pool.snapshot(["pool", "host", "host_metrics", "SR", "PBD", "PIF", "VM"])
        evidence = self.pool.evidence(snapshot)
        self.assertEqual(snapshot.election("planned", evidence)["verdict"], "safe")
        self.assertTrue(Plan.hand_over(snapshot, "b", evidence).is_complete)
        self.assertEqual(snapshot.overview()["hosts"], ["a", "b"])

    def test_what_ifs_are_asked(self):
        pool = self.pool.snapshot("failover")
        told = pool.ask("if-host-leaves", host="b")
        self.assertEqual((told["refusal"], len(told["after"]["hosts"])), (None, 1))
        self.assertTrue(pool.ask("evacuate", host="b")["moves"])
        with self.assertRaises(Fault) as caught:
            pool.ask("maximum", priorities={"web": "urgent"})
        self.assertEqual(caught.exception.code, "INVALID_VALUE")
        with self.assertRaises(Error):
            pool.ask("evacuate", host="nobody")

    def test_steps_are_held_against_the_world(self):
        pool = self.pool.snapshot("everything")
        step = Plan.maintenance(pool, "b").steps(pool)[0]
        self.assertFalse(step["effect"] and step["effect"]["holds"])
        self.assertEqual(step["side"], "pool")

    def test_the_pool_as_it_will_be_is_a_snapshot(self):
        report = Report(self.pool.snapshot("preflight"), self.client("c").snapshot("preflight"))
        self.assertEqual(report.pool_after().count("host"), 3)
        self.assertTrue(report.consequences_markdown().startswith("#"))

    def test_one_host_is_asked_alone(self):
        self.assertEqual(probe(self.way, "10.0.0.2", "root", "xcp-test", timeout=5)["master"], "10.0.0.1")
        self.assertEqual(self.pool.role_of("10.0.0.2")["role"], "member")
        self.assertEqual(self.pool.locate("10.0.0.2"), "https://10.0.0.2")
        with LocalSession(self.way, "10.0.0.2", "root", "xcp-test") as session:
            self.assertFalse(session.is_in_emergency_mode())
            self.assertFalse(session.call("host.is_in_emergency_mode"))
            self.assertEqual(session.endpoint, "https://10.0.0.2")
        with self.pool.local("10.0.0.2") as session, self.pool.beside("10.0.0.3") as other:
            self.assertFalse(session.is_in_emergency_mode())
            self.assertEqual(other.endpoint, "https://10.0.0.3")
        with self.assertRaises(Fault) as caught:
            Client(self.way, "a", "root", "wrong")
        self.assertEqual(caught.exception.login_failure, "bad-password")
        self.assertEqual(len(diagnose(self.way, {"hosts": ["10.0.0.1"], "patience": 3}, "root", "xcp-test")["hosts"]), 2)

    def test_a_task_is_started_and_awaited(self):
        host = self.pool.call("host.get_by_name_label", "b")[0]
        told = []
        with self.pool.start("host.disable", host) as task:
            self.assertTrue(task.ref.startswith("OpaqueRef:"))
            self.assertIn("status", task.record())
            with self.assertRaises(ZeroDivisionError):
                task.wait(lambda done: 1 / 0)
            task.wait(told.append)
            with self.assertRaises(Error) as caught:
                task.wait()
            self.assertEqual(caught.exception.status, "XCP_E_OUTCOME_UNKNOWN")
            with self.assertRaises(Error):
                task.cancel()
        self.assertTrue(told)
        self.assertEqual(len(self.pool.within(timeout=100).call("host.get_all")), 2)
        with self.pool.within(max_reply=9) as tight, self.assertRaises(Error) as caught:
            tight.call("host.get_all")
        self.assertEqual(caught.exception.status, "XCP_E_TOO_LARGE")
        self.assertEqual(len(self.pool.call("host.get_all")), 2)

    def test_a_watch_is_polled(self):
        watch = self.pool.watch(["host"], hold=1)
        self.assertEqual(watch.poll(), 0)
        self.pool.call("host.set_name_label", self.pool.call("host.get_all")[0], "Poltergeist")
        self.assertGreater(watch.poll(), 0)
        self.assertEqual(next(watch)["class"], "host")
        watch.close()

    def test_a_world_is_acted_on_and_looked_at(self):
        self.world.act({"act": "power-off", "host": "b"}, {"act": "power-on", "host": "b", "after": 5})
        self.assertFalse(self.world.host("b")["power"])
        while self.world.step(300):
            pass
        self.assertTrue(self.world.host("b")["running"])
        self.assertEqual(self.world.state["masters"], ["a", "c", "d"])
        with self.assertRaises(Error):
            self.world.act({"act": "dance"})

    def test_a_world_is_served(self):
        with self.world.serve(https=0) as front:
            host = front.hosts[0]
            with TrustStore.pins([host["fingerprint"]]) as trust, Transport.https(trust) as way:
                with Client(way, host["url"], "root", "xcp-test", addresses=front.addresses) as pool:
                    self.assertEqual(len(pool.call("host.get_all")), 2)
                    self.assertGreater(front.connections, 0)
            self.assertGreater(front.served, 1)
            with TrustStore.pins(["AB" * 32]) as trust, Transport.https(trust) as way:
                with self.assertRaises(Error) as caught:
                    Client(way, host["url"], "root", "xcp-test")
            self.assertEqual(caught.exception.login_failure, "certificate")
            self.assertEqual(caught.exception.mismatch["actual"], host["fingerprint"])

    def test_members_are_vouched_for(self):
        pool = self.pool.snapshot("preflight")
        with TrustStore.first_use() as trust, Transport.https(trust) as way:
            self.assertEqual(way.remember_members(pool), 2)
        self.assertEqual(self.way.remember_members(pool), 0)
        self.assertIsInstance(pool, Snapshot)


if __name__ == "__main__":
    unittest.main()
