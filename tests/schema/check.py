"""Holds what crosses the C ABI as JSON against include/xcp_pool.schema.json.

Every call that examples/python/xcp_pool.py makes is watched: the module's own tests run, the stories, and the
recorded cases of tests/data. Each text that a function reads or writes must be as the schema of that argument
says; results must not even have a field that it does not name. Every argument of the header that is JSON must
have a schema, and a sample.
"""

import copy
import gzip
import json
import pathlib
import re
import sys
import tempfile
import unittest

from jsonschema import Draft202012Validator

import make

ROOT = make.ROOT
sys.path.insert(0, str(ROOT / "examples" / "python"))

import test_lab  # noqa: E402
import test_xcp_pool  # noqa: E402
import xcp_pool  # noqa: E402
from xcp_pool import Client, Plan, Report, Simulator, Snapshot  # noqa: E402

SCHEMA = json.loads(make.SCHEMA.read_text())
DATA = ROOT / "tests" / "data"
HEADER = make.header()


def closed(node):
    """The schema with every object that names its fields closed."""
    if isinstance(node, list):
        return [closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: closed(part) for key, part in node.items()}
    if "properties" in node:
        # No object is put together of several schemas, else it would have to be "unevaluatedProperties".
        node["additionalProperties"] = False
    return node


def validator(schemas, function, argument):
    schema = {**schemas["x-functions"][function][argument], "$defs": schemas["$defs"]}
    return Draft202012Validator(schema)


class Samples:
    """What was seen of each argument."""

    def __init__(self):
        self.seen, self.wrong, self.strict, self.open = {}, [], {}, {}
        whole = {**SCHEMA, "$defs": closed(SCHEMA["$defs"]), "x-functions": closed(SCHEMA["x-functions"])}
        for function, arguments in SCHEMA["x-functions"].items():
            for argument in arguments:
                self.strict[function, argument] = validator(whole, function, argument)
                self.open[function, argument] = validator(SCHEMA, function, argument)

    def take(self, function, argument, value, written):
        """A value that was written by the library, or read by it."""
        key = (function, argument)
        known = self.strict if written else self.open
        if key in known:
            samples = self.seen.setdefault(key, [])
            if len(samples) < 4:
                samples.append(copy.deepcopy(value))
            error = next(iter(known[key].iter_errors(value)), None)
            if error:
                place = "/".join(str(step) for step in error.absolute_path)
                self.wrong.append(f"{function} {argument} at {place or 'its top'}: {error.message[:400]}")

    def watch(self):
        """Takes samples of every call from now on."""
        check = xcp_pool._check

        def watched(function, *arguments):
            try:
                check(function, *arguments)
            except xcp_pool.Error as error:
                self.take("xcp_error_fault_params_json", "returns", error.params, True)
                self.take("xcp_error_evidence_json", "returns", error.evidence, True)
                if error.mismatch:
                    self.take("xcp_error_mismatch_json", "returns", error.mismatch, True)
                raise
            for parameter, argument in zip(HEADER[function.__name__], arguments):
                if make.is_json(parameter) and isinstance(argument, bytes):
                    self.take(function.__name__, parameter, json.loads(argument), False)
                elif make.is_json(parameter) and hasattr(argument, "_obj"):
                    text = xcp_pool.ctypes.string_at(argument._obj).decode()
                    self.take(function.__name__, parameter, json.loads(text), True)
        xcp_pool._check = watched

    def told(self, progress):
        self.take("xcp_progress", "progress_json", progress, True)


SAMPLES = Samples()


def lines(name):
    path = DATA / "oracle" / name
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
        yield from map(json.loads, file)


def scenarios(every):
    """Recorded joins: pool, host and options; of the many each so many-th."""
    cases = lines("preflight.jsonl")
    baseline = next(cases)["baseline"]
    for n, case in enumerate(cases):
        if n % every:
            continue
        scenario = copy.deepcopy(baseline)
        for pointer, value in [*((p, None) for p in case["remove"]), *case["set"].items()]:
            *path, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
            at = scenario
            for step in path:
                at = at.setdefault(step, {})
            if pointer in case["remove"] and pointer not in case["set"]:
                at.pop(last, None)
            else:
                at[last] = value
        yield scenario


class Schema(unittest.TestCase):
    def test_it_is_what_the_types_say(self):
        self.assertEqual(make.printed(make.schema()) + "\n", make.SCHEMA.read_text(),
                         "tests/schema/make.py --bless writes it anew")

    def test_it_is_a_schema(self):
        Draft202012Validator.check_schema(SCHEMA)
        used = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(SCHEMA)))
        self.assertEqual(used, set(SCHEMA["$defs"]))

    def test_every_argument_of_the_header_that_is_json_has_one(self):
        self.assertEqual(make.uncalled(), set(), "CALLS in tests/schema/calls.py")


class Recorded(unittest.TestCase):
    def test_preflights_and_consequences(self):
        count = 0
        for scenario in scenarios(every=20):
            options = {"complete_snapshots": True, "force": bool(count % 2)}
            for ask in (xcp_pool.preflight, xcp_pool.consequences):
                ask(scenario["pool"]["objects"], scenario["joiner"]["objects"], options)
            count += 1
        self.assertGreater(count, 100)

    def test_joins(self):
        count = 0
        for path in sorted((DATA / "oracle" / "joins").glob("*.json")):
            recorded = json.loads(path.read_text())
            with Snapshot.load(recorded["pool_before"]) as pool, Snapshot.load(recorded["joiner_before"]) as host:
                for documented in (False, True):
                    report = Report(pool, host, {"policy": {"documented": documented}})
                    report.to_dict(), report.consequences()
                    Plan.load(report.plan().to_dict())
            count += 1
        self.assertGreaterEqual(count, 20)

    def test_partitions(self):
        for vector in lines("xhad-partition-vectors.jsonl"):
            xcp_pool.partition(vector)
        for question in (
            {"hosts": ["a", "b", "c", "d"], "master": "c", "split": [["c", "d"]]},
            {"hosts": ["a", "b", "c", "d", "e"], "shut_down": ["e"], "crash": ["d"], "lose_storage": ["c"],
             "cut": [["a", "c"]], "weights": {"b": 2}, "base_timeout": 90},
            {"hosts": ["a", "b"], "lose_storage": ["a", "b"], "cut": [["a", "b"]]},
        ):
            xcp_pool.partition(question)

    def test_failovers(self):
        for pool in list(lines("failover.jsonl.gz"))[::10]:
            xcp_pool.failover(pool)


class Lived(unittest.TestCase):
    def test_the_story(self):
        with Simulator.story() as world, world.transport() as way:
            with Client(way, "phantom", "root", "xcp-test") as pool, Client(way, "ignite", "root", "xcp-test") as host:
                snapshots = [client.snapshot("preflight") for client in (pool, host)]
                for options in (None, {"policy": {"documented": True}}):
                    report = Report(*snapshots, options)
                    found = report.to_dict()
                    choices = {finding["rule"]: finding["remedy"]["choices"][0]["code"]
                               for finding in found["findings"] if finding["remedy"]["choices"]}
                    plan = report.plan({"rules": choices})
                    Plan.load(plan.to_dict())
                pool.join(host, plan, plan.losses["digest"], SAMPLES.told)


    def test_what_is_rarely_asked(self):
        broken = {"VM": {"OpaqueRef:a": {"power_state": 7}}}
        with Snapshot.load(broken, complete=True) as snapshot:
            self.assertEqual(len(snapshot.problems()), 1)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "pins"
            path.write_text(f"phantom.lan:443 {':'.join(['AB'] * 32)}\n")
            with xcp_pool.TrustStore.first_use(path) as trust:
                self.assertEqual(list(trust.remembered()), ["phantom.lan:443"])


class Zealous(unittest.TestCase):
    """After all others: what was seen, and whether a mistake would be."""

    def test_everything_is_as_its_schema_says(self):
        self.assertEqual(SAMPLES.wrong[:20], [])

    def test_nothing_goes_unseen(self):
        # That the module has all functions is seen to by examples/python/run.
        module = (ROOT / "examples" / "python" / "xcp_pool.py").read_text()
        every = {(function, argument) for function, arguments in SCHEMA["x-functions"].items()
                 for argument in arguments if re.search(rf"\b{function}\b", module)}
        self.assertEqual(sorted(every - set(SAMPLES.seen)), [], "no sample of these")

    def test_a_broken_result_is_noticed(self):
        noticed = 0
        for key, samples in SAMPLES.seen.items():
            strict, sample = SAMPLES.strict[key], samples[0]
            if not isinstance(sample, dict) or sample.get("schema") != 1 or not strict.is_valid(sample):
                continue
            for broken in ({**sample, "surprise": 1}, {**sample, "schema": 2},
                           *({k: v for k, v in sample.items() if k != name} for name in sample),
                           *({**sample, name: {"odd": [value]}} for name, value in sample.items())):
                self.assertFalse(strict.is_valid(broken), f"{key}: {json.dumps(broken)[:300]}")
                noticed += 1
        self.assertGreater(noticed, 100)


def load_tests(loader, _tests, _pattern):
    SAMPLES.watch()
    first = [loader.loadTestsFromModule(module) for module in (test_xcp_pool, test_lab)]
    return unittest.TestSuite([*first, *map(loader.loadTestsFromTestCase, (Schema, Recorded, Lived, Zealous))])


if __name__ == "__main__":
    unittest.main()
