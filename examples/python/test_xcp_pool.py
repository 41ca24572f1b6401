"""The module's promises; run by `python3 -m unittest` beside it."""

import gc
import logging
import pathlib
import socket
import ssl
import threading
import unittest

import xcp_pool
from xcp_pool import (Cancel, Cancelled, Client, Error, Fault, Plan, Report, Simulator, Snapshot, Transport, TrustStore,
                      diagnose, election, recover)

KEY = pathlib.Path(__file__).parents[2] / "src/simulator/front/test-key-not-secret.pem"


class Pure(unittest.TestCase):
    def test_json_comes_as_dicts(self):
        self.assertEqual(xcp_pool.partition({"hosts": ["a", "b"], "crash": ["b"]})["survivors"], ["a"])
        report = xcp_pool.preflight({}, {}, {"force": True})
        self.assertEqual((report["schema"], report["verdict"]), (1, "unknown"))
        self.assertTrue(xcp_pool.version())

    def test_a_master_is_chosen(self):
        pool = {"pool": {"OpaqueRef:p": {"master": "OpaqueRef:a"}}, "host": {"OpaqueRef:a": {}, "OpaqueRef:b": {}}}
        decision = xcp_pool.election({"mode": "planned", "snapshot": pool, "complete_snapshots": True})
        self.assertEqual(len(decision["ranked"]), 2)

    def test_what_goes_wrong_raises_with_its_status(self):
        with self.assertRaises(Error) as caught:
            xcp_pool.partition("{")
        self.assertEqual(caught.exception.status, "XCP_E_INVALID_INPUT")
        with self.assertRaises(ValueError):
            xcp_pool.partition("a\0b")

    def test_what_was_closed_is_told(self):
        snapshot = Snapshot.load({"SR": {"OpaqueRef:s": {}}})
        self.assertEqual(snapshot.count("SR"), 1)
        snapshot.close()
        snapshot.close()
        with self.assertRaises(ValueError):
            snapshot.count("SR")


class Live(unittest.TestCase):
    def setUp(self):
        self.world = Simulator.story()
        self.way = self.world.transport()
        self.pool = Client(self.way, "phantom", "root", "xcp-test", originator="test")
        self.host = Client(self.way, "ignite", "root", "xcp-test")

    def tearDown(self):
        for thing in (self.host, self.pool, self.way, self.world):
            thing.close()
        gc.collect()

    def report(self):
        return Report(self.pool.snapshot("preflight"), self.host.snapshot("preflight"))

    def test_a_preflight_of_two_clients_knows_what_no_database_tells(self):
        evidence = self.pool.join_evidence(self.host)
        self.assertEqual(evidence["master_address"], "10.0.0.1")
        self.assertEqual(evidence["master_time"], evidence["joiner_time"])
        with self.pool.preflight(self.host, {"force": False}) as report:
            severities = {finding["severity"] for finding in report.to_dict()["findings"]}
        self.assertIn("blocker", severities)
        self.assertNotIn("unknown", severities)

    def test_faults_have_code_and_params(self):
        with self.assertRaises(Fault) as caught:
            self.pool.call("host.get_record", "OpaqueRef:no")
        self.assertEqual((caught.exception.code, caught.exception.params),
                         ("HANDLE_INVALID", ["host", "OpaqueRef:no"]))

    def test_a_callback_that_raises_ends_the_join_and_is_heard(self):
        plan = self.report().plan()
        self.assertGreater(len(plan), 1)

        def progress(at):
            raise KeyError(at["step"])

        with self.assertRaises(KeyError):
            self.pool.join(self.host, plan, plan.losses["digest"], progress)
        self.assertEqual(self.world.count("phantom", "host"), 1)

    def test_a_join_that_is_not_done_has_evidence(self):
        plan = self.report().plan()
        self.world.trouble("reset", host="ignite", method="Async.pool.join")
        with self.assertRaises(Error) as caught:
            self.pool.join(self.host, plan, plan.losses["digest"])
        self.assertEqual(caught.exception.status, "XCP_E_NOT_DONE")
        self.assertTrue(caught.exception.evidence)

    def test_tasks_tell_how_far_they_are(self):
        told = []
        vm, = self.host.call("VM.get_by_name_label", "monitor")
        self.host.task("VM.clean_shutdown", vm, progress=told.append)
        self.assertEqual(told[-1], 1.0)

    def test_calls_are_cancelled(self):
        with Cancel() as cancel:
            cancel.cancel()
            with self.assertRaises(Cancelled):
                self.pool.call("host.get_all", cancel=cancel)
        self.pool.cancel()
        self.assertEqual(len(self.pool.call("host.get_all")), 1)

    def test_threads_share_a_client(self):
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.pool.call("host.get_all")))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), 8)

    def test_a_watch_is_an_iterator_that_ends(self):
        with self.pool.watch() as watch:
            host, = self.pool.call("host.get_all")
            self.pool.call("host.set_name_label", host, "Poltergeist")
            self.assertIn(next(watch)["operation"], ("added", "modified", "deleted"))
            self.assertEqual(watch.snapshot().count("host"), 1)
            watch.cancel()
            self.assertEqual(list(watch), [])

    def test_the_world_can_be_hurt(self):
        self.world.cut(None, "ignite")
        with self.assertRaises(Error):
            Client(self.way, "ignite", "root", "xcp-test")
        self.world.heal(None, "ignite")
        self.world.power_off("ignite")
        self.world.power_on("ignite")
        self.world.advance(600)
        self.world.restart_toolstack("phantom")
        self.assertEqual(self.world.host("phantom")["role"], "master")
        self.assertIn("SR", self.world.database("phantom"))
        self.assertGreater(self.world.now, 600)
        with Simulator({"pools": [{"hosts": [{"name": "a", "address": "10.0.0.1"}]}]}) as other:
            self.assertEqual(other.count("a", "host"), 1)


class Log(unittest.TestCase):
    def tearDown(self):
        xcp_pool.log_to()

    def test_a_logger_hears_what_the_library_does_and_no_secret(self):
        logger = logging.getLogger("pools")
        for level, requests in ((logging.DEBUG, True), (logging.INFO, False)):
            logger.setLevel(level)
            xcp_pool.log_to(logger)
            with self.assertLogs(logger, level) as heard, Simulator.story() as world, world.transport() as way:
                Client(way, "phantom", "root", "xcp-test").close()
            self.assertIn("INFO:pools.client:logged in at https://phantom", heard.output)
            self.assertEqual(any("session.login_with_password" in line for line in heard.output), requests)
            self.assertFalse([line for line in heard.output if "xcp-test" in line])
        xcp_pool.log_to()
        with self.assertLogs(logger) as heard, Simulator.story() as world, world.transport() as way:
            logger.info("nothing but this")
            Client(way, "phantom", "root", "xcp-test").close()
        self.assertEqual(heard.output, ["INFO:pools:nothing but this"])

    def test_a_handler_may_raise_and_may_call_the_library(self):
        logger, calls = logging.getLogger("handled"), []
        logger.setLevel(logging.INFO)
        world = Simulator.story()

        class Handler(logging.Handler):
            def emit(self, record):
                calls.append(record.getMessage())
                world.host("phantom")
                with Client(world.transport(), "phantom", "root", "xcp-test"):
                    raise KeyError("on purpose")

        logger.addHandler(Handler())
        xcp_pool.log_to(logger)
        with Client(world.transport(), "phantom", "root", "xcp-test") as client:
            self.assertEqual(len(client.call("host.get_all")), 1)
        self.assertEqual(calls, ["logged in at https://phantom"])


class Planned(unittest.TestCase):
    def setUp(self):
        hosts = [{"name": name, "address": f"10.0.0.{n}"} for n, name in enumerate("abc", 1)]
        self.world = Simulator({"pools": [{"name": "lab", "hosts": hosts}]})
        self.way = self.world.transport()
        self.login = ("root", "xcp-test")

    def test_a_host_is_rebooted_another_becomes_master_and_one_leaves(self):
        with Client(self.way, "a", *self.login) as pool:
            steps = []
            pool.run(Plan.maintenance(pool.snapshot("everything"), "b"), progress=steps.append)
            self.assertTrue(steps)
            pool.run(pool.plan_hand_over("c"))
            self.assertEqual(self.world.host("c")["role"], "master")
            plan = Plan.eject(pool.snapshot("everything"), "b")
            with self.assertRaises(Error):
                pool.run(plan)
            pool.run(plan, plan.losses["digest"])
        self.assertEqual(self.world.count("c", "host"), 2)

    def test_a_pool_gets_another_master(self):
        with Client(self.way, "a", *self.login) as pool:
            last = pool.snapshot("everything")
        self.world.power_off("a")
        hosts = ["10.0.0.2", "10.0.0.3"]
        told = diagnose(self.way, hosts, *self.login, last=last)
        self.assertIn("10.0.0.1", told["text"])
        records, evidence = last.to_dict(), told["evidence"]
        (old,) = (pool["master"] for pool in records["pool"].values())
        evidence["hosts"][old]["powered_off"] = True
        decision = election({"mode": "emergency", "snapshot": records, "evidence": evidence})
        evidence["confirmed"] = decision["confirmations"]
        plan = Plan.recovery(last, evidence)
        self.assertTrue(plan.is_complete)
        done = recover(self.way, hosts, *self.login, last, plan, plan.losses["digest"])
        self.assertEqual([member["follows"] for member in done["members"]].count(True), 1)


class Ways(unittest.TestCase):
    def test_a_transport_of_ones_own(self):
        seen = []

        def exchange(url, body, timeout):
            seen.append(url)
            if b"host.get_all" in body:
                raise TimeoutError("asleep")
            return b'{"id": 1, "result": "OpaqueRef:s"}' if b"session." in body else \
                b'{"id": 1, "result": {"OpaqueRef:p": {"uuid": "u"}}}'

        with Transport.custom(exchange) as way, Client(way, "10.0.0.1", "root", "x", patience=0) as client:
            with self.assertRaises(Error) as caught:
                client.call("host.set_name_label", "OpaqueRef:h", "host.get_all")
            self.assertIn("asleep", str(caught.exception))
        self.assertEqual(set(seen), {"https://10.0.0.1/jsonrpc"})

    def test_trust_is_given(self):
        with TrustStore.pins(["AB" * 32]) as trust, Transport.https(trust, connect_timeout=1) as way:
            with self.assertRaises(Error) as caught:
                Client(way, "127.0.0.1:9", "root", "x")
        self.assertEqual(caught.exception.status, "XCP_E_TRANSPORT")

    def test_certificates_are_remembered_wherever_one_likes(self):
        class Pins(dict):
            def pin(self, host):
                return self.get(host)

            def remember(self, host, fingerprint):
                return self.setdefault(host, fingerprint)

        class Broken:
            def pin(self, host):
                raise OSError("the disk is full")

        def tried(pins):
            with TrustStore.first_use_in(pins) as trust, Transport.https(trust) as way:
                with self.assertRaises(Error) as caught:
                    Client(way, address, "root", "x", patience=0)
            return caught.exception

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(KEY)
        with socket.create_server(("127.0.0.1", 0)) as server:
            def answer():
                while True:
                    try:
                        with tls.wrap_socket(server.accept()[0], server_side=True) as connection:
                            # Whatever is left unread would reset the connection.
                            while (read := connection.recv(65536)) and not read.endswith(b"}"):
                                pass
                            connection.sendall(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
                    except OSError as error:
                        if not isinstance(error, (ssl.SSLError, ConnectionError)):
                            return

            threading.Thread(target=answer, daemon=True).start()
            address = "127.0.0.1:%d" % server.getsockname()[1]
            pins = Pins()
            self.assertIn("404", str(tried(pins)))
            self.assertIn("404", str(tried(pins)))
            self.assertEqual(list(pins), [address])
            self.assertEqual(tried(Pins({address: "AB" * 32})).status, "XCP_E_TRUST")
            broken = tried(Broken())
            self.assertEqual((broken.status, "the disk is full" in str(broken)), ("XCP_E_TRUST", True))
            server.shutdown(socket.SHUT_RDWR)
        self.assertEqual(xcp_pool._callers, {}, "what C does not need is let go")


if __name__ == "__main__":
    unittest.main()
