"""Resource pools of XCP-ng and XenServer hosts: decide, then act.

One module over the C library, by ctypes: no compiler needed. The library is found by the variable
XCP_POOL_LIBRARY (its path), beside this file, or where the system keeps libraries.

    with Simulator.story() as world, world.transport() as way:
        with Client(way, "phantom", "root", "xcp-test") as pool:
            print(pool.snapshot("overview").count("SR"))

Everything that holds something of the library is a context manager, and ends when it is collected at
the latest. What goes wrong raises an Error, with the code and parameters of the server's fault. JSON
comes as Python's dicts and lists.
"""

from __future__ import annotations

import atexit
import ctypes
import ctypes.util
import itertools
import json
import logging
import os
import pathlib
from ctypes import POINTER, byref, c_bool, c_char_p, c_double, c_int, c_size_t, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Iterator, Optional, Sequence, TypeVar, Union

__all__ = [
    "Cancel", "Cancelled", "Client", "Error", "Fault", "Front", "Joins", "LocalSession", "Plan", "Report",
    "Simulator", "Snapshot", "Task", "Transport", "TrustStore", "Watch", "consequences", "diagnose", "election",
    "failover", "fingerprint", "log_to", "master_lock", "packing", "partition", "preflight", "probe", "recover", "rules",
    "version",
]

_ABI = 1


def _load() -> ctypes.CDLL:
    here = pathlib.Path(__file__).resolve()
    found = [os.environ.get("XCP_POOL_LIBRARY"), here.with_name("libxcp_pool.so")]
    for path in found:
        if path and os.path.exists(path):
            return ctypes.CDLL(str(path))
    name = ctypes.util.find_library("xcp_pool")
    if name is None:
        raise ImportError("libxcp_pool was not found: set XCP_POOL_LIBRARY to its path")
    return ctypes.CDLL(name)


_lib = _load()
_lib.xcp_abi_version.restype = c_uint32
if _lib.xcp_abi_version() != _ABI:
    raise ImportError(f"the library has ABI {_lib.xcp_abi_version()}, this module needs {_ABI}")

_EXCHANGE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
_RELEASE = ctypes.CFUNCTYPE(None, c_void_p)
_PIN = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)
_REMEMBER = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_void_p)
_TASK_PROGRESS = ctypes.CFUNCTYPE(None, c_void_p, c_double)
_PROGRESS = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)
_LOG = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_char_p, c_char_p)


class _TransportTable(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("ctx", c_void_p), ("exchange", _EXCHANGE), ("release", _RELEASE)]


class _TrustTable(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("ctx", c_void_p), ("pin", _PIN), ("remember", _REMEMBER),
                ("release", _RELEASE)]


def _declare(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_lib, name)
    function.restype, function.argtypes = result, arguments
    return function


_OBJECT, _OUT = c_void_p, POINTER(c_void_p)
for _name, _arguments in {
    "xcp_preflight_json": (c_char_p, c_char_p, c_char_p, _OUT),
    "xcp_consequences_json": (c_char_p, c_char_p, c_char_p, _OUT),
    "xcp_partition_json": (c_char_p, _OUT),
    "xcp_failover_json": (c_char_p, _OUT),
    "xcp_election_json": (c_char_p, _OUT),
    "xcp_rules_json": (_OUT,),
    "xcp_master_lock_json": (c_char_p, _OUT),
    "xcp_packing_json": (c_char_p, _OUT),
    "xcp_plan_steps_json": (_OBJECT, _OBJECT, _OBJECT, _OUT),
    "xcp_election": (_OBJECT, c_char_p, c_char_p, _OUT),
    "xcp_failover": (_OBJECT, c_char_p, _OUT),
    "xcp_snapshot_overview_json": (_OBJECT, _OUT),
    "xcp_snapshot_from_json": (c_char_p, c_bool, _OUT),
    "xcp_snapshot_to_json": (_OBJECT, _OUT),
    "xcp_snapshot_count": (_OBJECT, c_char_p, POINTER(c_size_t)),
    "xcp_snapshot_problems_json": (_OBJECT, _OUT),
    "xcp_preflight": (_OBJECT, _OBJECT, c_char_p, _OUT),
    "xcp_preflight_live": (_OBJECT, _OBJECT, c_char_p, _OBJECT, _OUT),
    "xcp_join_evidence_json": (_OBJECT, _OBJECT, _OBJECT, _OUT),
    "xcp_report_json": (_OBJECT, _OUT),
    "xcp_report_text": (_OBJECT, _OUT),
    "xcp_report_markdown": (_OBJECT, _OUT),
    "xcp_report_consequences_json": (_OBJECT, _OUT),
    "xcp_report_consequences_markdown": (_OBJECT, _OUT),
    "xcp_report_pool_after": (_OBJECT, _OUT),
    "xcp_plan_join": (_OBJECT, c_char_p, _OUT),
    "xcp_plan_join_many": (POINTER(c_void_p), c_size_t, c_char_p, _OUT),
    "xcp_joins_from_json": (c_char_p, _OUT),
    "xcp_joins_json": (_OBJECT, _OUT),
    "xcp_joins_text": (_OBJECT, _OUT),
    "xcp_joins_plan": (_OBJECT, c_size_t, _OUT),
    "xcp_joins_losses_json": (_OBJECT, _OUT),
    "xcp_joins_losses_digest": (_OBJECT, _OUT),
    "xcp_joins_digest": (_OBJECT, _OUT),
    "xcp_plan_hand_over_with": (_OBJECT, c_char_p, c_char_p, _OUT),
    "xcp_plan_from_json": (c_char_p, _OUT),
    "xcp_plan_eject": (_OBJECT, c_char_p, _OUT),
    "xcp_plan_maintenance": (_OBJECT, c_char_p, _OUT),
    "xcp_plan_hand_over": (_OBJECT, c_char_p, _OBJECT, _OUT),
    "xcp_plan_recovery": (_OBJECT, c_char_p, _OUT),
    "xcp_plan_json": (_OBJECT, _OUT),
    "xcp_plan_text": (_OBJECT, _OUT),
    "xcp_plan_losses_json": (_OBJECT, _OUT),
    "xcp_plan_digest": (_OBJECT, _OUT),
    "xcp_transport_https": (c_char_p, _OBJECT, _OUT),
    "xcp_transport_simulator": (_OBJECT, _OUT),
    "xcp_transport_custom": (POINTER(_TransportTable), _OUT),
    "xcp_reply_body": (_OBJECT, c_char_p, c_size_t),
    "xcp_reply_error": (_OBJECT, c_uint32, c_char_p),
    "xcp_trust_store_authorities": (c_char_p, _OUT),
    "xcp_trust_store_authorities_file": (c_char_p, _OUT),
    "xcp_fingerprint": (c_char_p, c_size_t, _OUT),
    "xcp_transport_remember_members": (_OBJECT, _OBJECT, c_uint16, POINTER(c_size_t)),
    "xcp_trust_store_pins": (c_char_p, _OUT),
    "xcp_trust_store_file": (c_char_p, _OUT),
    "xcp_trust_store_memory": (_OUT,),
    "xcp_trust_store_custom": (POINTER(_TrustTable), _OUT),
    "xcp_trust_store_danger_accept_any": (_OUT,),
    "xcp_trust_store_pins_json": (_OBJECT, _OUT),
    "xcp_trust_store_forget": (_OBJECT, c_char_p),
    "xcp_simulator_story": (c_uint64, _OUT),
    "xcp_simulator_new": (c_char_p, _OUT),
    "xcp_simulator_advance": (_OBJECT, c_double),
    "xcp_simulator_power_off": (_OBJECT, c_char_p),
    "xcp_simulator_power_on": (_OBJECT, c_char_p),
    "xcp_simulator_restart_toolstack": (_OBJECT, c_char_p),
    "xcp_simulator_cut": (_OBJECT, c_char_p, c_char_p),
    "xcp_simulator_heal": (_OBJECT, c_char_p, c_char_p),
    "xcp_simulator_trouble": (_OBJECT, c_char_p),
    "xcp_simulator_count": (_OBJECT, c_char_p, c_char_p, POINTER(c_size_t)),
    "xcp_simulator_host_json": (_OBJECT, c_char_p, _OUT),
    "xcp_simulator_database_json": (_OBJECT, c_char_p, _OUT),
    "xcp_simulator_act": (_OBJECT, c_char_p),
    "xcp_simulator_step": (_OBJECT, c_double, POINTER(c_bool)),
    "xcp_simulator_state_json": (_OBJECT, _OUT),
    "xcp_front_start": (_OBJECT, c_char_p, _OUT),
    "xcp_front_hosts_json": (_OBJECT, _OUT),
    "xcp_log_set": (c_uint32, _LOG, c_void_p, _RELEASE),
    "xcp_cancel_new": (_OUT,),
    "xcp_client_connect": (_OBJECT, c_char_p, c_char_p, c_char_p, c_char_p, _OBJECT, _OUT),
    "xcp_client_endpoint": (_OBJECT, _OUT),
    "xcp_client_pool_uuid": (_OBJECT, _OBJECT, _OUT),
    "xcp_client_snapshot": (_OBJECT, c_char_p, c_bool, _OBJECT, _OUT),
    "xcp_client_call_json": (_OBJECT, c_char_p, c_char_p, _OBJECT, _OUT),
    "xcp_client_task_json": (_OBJECT, c_char_p, c_char_p, _TASK_PROGRESS, c_void_p, _OBJECT, _OUT),
    "xcp_client_start": (_OBJECT, c_char_p, c_char_p, _OBJECT, _OUT),
    "xcp_task_record_json": (_OBJECT, _OBJECT, _OUT),
    "xcp_task_cancel": (_OBJECT, _OBJECT),
    "xcp_task_wait_json": (_OBJECT, _TASK_PROGRESS, c_void_p, _OBJECT, _OUT),
    "xcp_probe_json": (_OBJECT, c_char_p, c_char_p, c_char_p, c_char_p, _OBJECT, _OUT),
    "xcp_client_role_json": (_OBJECT, c_char_p, _OBJECT, _OUT),
    "xcp_client_locate": (_OBJECT, c_char_p, _OUT),
    "xcp_client_beside": (_OBJECT, c_char_p, _OBJECT, _OUT),
    "xcp_client_local": (_OBJECT, c_char_p, _OBJECT, _OUT),
    "xcp_local_session_open": (_OBJECT, c_char_p, c_char_p, c_char_p, c_char_p, _OBJECT, _OUT),
    "xcp_local_session_endpoint": (_OBJECT, _OUT),
    "xcp_local_session_call_json": (_OBJECT, c_char_p, c_char_p, _OBJECT, _OUT),
    "xcp_local_session_is_in_emergency_mode": (_OBJECT, _OBJECT, POINTER(c_bool)),
    "xcp_evidence_json": (_OBJECT, _OBJECT, _OBJECT, _OUT),
    "xcp_client_view": (_OBJECT, c_char_p, _OUT),
    "xcp_client_watch": (_OBJECT, c_char_p, _OBJECT, _OUT),
    "xcp_client_watch_with": (_OBJECT, c_char_p, c_char_p, _OBJECT, _OUT),
    "xcp_watch_poll": (_OBJECT, _OBJECT, POINTER(c_size_t)),
    "xcp_watch_next": (_OBJECT, _OBJECT, _OUT),
    "xcp_watch_snapshot": (_OBJECT, _OUT),
    "xcp_join": (_OBJECT, _OBJECT, _OBJECT, c_char_p, c_char_p, _PROGRESS, c_void_p, _OBJECT, _OUT),
    "xcp_join_many": (_OBJECT, POINTER(c_void_p), c_size_t, _OBJECT, c_char_p, c_char_p, _PROGRESS, c_void_p,
                      _OBJECT, POINTER(c_bool), _OUT),
    "xcp_run": (_OBJECT, _OBJECT, c_char_p, c_char_p, _PROGRESS, c_void_p, _OBJECT, _OUT),
    "xcp_diagnose": (_OBJECT, c_char_p, c_char_p, c_char_p, _OBJECT, _OBJECT, _OUT, _OUT),
    "xcp_recover": (_OBJECT, c_char_p, c_char_p, c_char_p, _OBJECT, _OBJECT, c_char_p, c_char_p, _PROGRESS,
                    c_void_p, _OBJECT, _OUT),
}.items():
    _declare(_name, c_int, *_arguments, _OUT)
for _name, _result in {
    "xcp_version": c_char_p, "xcp_error_code": c_int, "xcp_error_message": c_char_p,
    "xcp_error_fault_code": c_char_p, "xcp_error_fault_params_json": c_char_p,
    "xcp_error_evidence_json": c_char_p, "xcp_error_free": None, "xcp_string_free": None,
    "xcp_snapshot_free": None, "xcp_report_free": None, "xcp_plan_free": None, "xcp_transport_free": None,
    "xcp_trust_store_free": None, "xcp_simulator_free": None, "xcp_cancel_free": None,
    "xcp_cancel_cancel": None, "xcp_client_free": None, "xcp_client_cancel": None, "xcp_watch_free": None,
    "xcp_watch_cancel": None, "xcp_report_verdict": c_int, "xcp_report_blocking_count": c_size_t,
    "xcp_report_finding_count": c_size_t, "xcp_plan_step_count": c_size_t, "xcp_plan_is_complete": c_bool,
    "xcp_simulator_now": c_double, "xcp_request_url": c_char_p, "xcp_request_timeout_ms": c_uint64,
    "xcp_request_max_reply": c_uint64, "xcp_request_is_cancelled": c_bool,
    "xcp_error_login_failure": c_char_p, "xcp_error_mismatch_json": c_char_p, "xcp_joins_free": None,
    "xcp_joins_count": c_size_t, "xcp_joins_is_complete": c_bool, "xcp_task_free": None, "xcp_task_ref": c_char_p,
    "xcp_local_session_free": None, "xcp_front_free": None, "xcp_front_served": c_uint64,
    "xcp_front_connections": c_size_t,
}.items():
    _declare(_name, _result, *(() if _name == "xcp_version" else (_OBJECT,)))
_declare("xcp_status_name", c_char_p, c_uint32)
_declare("xcp_request_body", c_void_p, _OBJECT, POINTER(c_size_t))


class Error(Exception):
    """What went wrong: `status` ("XCP_E_TIMEOUT"), `code` and `params` of the server's fault (None and
    [] if there is none), and `evidence`, what was seen before an operation was given up.

    `login_failure` is what a failed login means ("unreachable", "bad-password", "emergency", ...), and
    `mismatch` the certificate that was shown in place of the trusted one, {"host", "expected", "actual"};
    both are None for other errors."""

    def __init__(self, status: str, message: str, code: Optional[str] = None,
                 params: Optional[list[str]] = None, evidence: Optional[list[str]] = None,
                 login_failure: Optional[str] = None, mismatch: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.params, self.evidence = params or [], evidence or []
        self.login_failure, self.mismatch = login_failure, mismatch


class Fault(Error):
    """A XAPI server raised a fault; `code` and `params` are its own, letter for letter."""


class Cancelled(Error):
    """The call was cancelled."""


def version() -> str:
    """The version of the library."""
    return str(_lib.xcp_version().decode())


def _check(function: Any, *arguments: Any) -> None:
    error = c_void_p()
    try:
        status = function(*arguments, byref(error))
    except ctypes.ArgumentError as wrong:
        raise ValueError(str(wrong)) from None
    if status == 0:
        return
    try:
        code, login = _lib.xcp_error_fault_code(error), _lib.xcp_error_login_failure(error)
        mismatch = _lib.xcp_error_mismatch_json(error)
        name = _lib.xcp_status_name(status).decode()
        kind = {"XCP_E_FAULT": Fault, "XCP_E_CANCELLED": Cancelled}.get(name, Error)
        raise kind(
            name, _lib.xcp_error_message(error).decode(), code.decode() if code else None,
            json.loads(_lib.xcp_error_fault_params_json(error)),
            json.loads(_lib.xcp_error_evidence_json(error)), login.decode() if login else None,
            json.loads(mismatch) if mismatch else None)
    finally:
        _lib.xcp_error_free(error)


def _text(function: Any, *arguments: Any) -> str:
    out = c_void_p()
    _check(function, *arguments, byref(out))
    return _taken(out)


def _taken(out: c_void_p) -> str:
    try:
        return ctypes.string_at(out).decode()
    finally:
        _lib.xcp_string_free(out)


def _value(function: Any, *arguments: Any) -> Any:
    return json.loads(_text(function, *arguments))


def _json(function: Any, *arguments: Any) -> dict[str, Any]:
    return dict(_value(function, *arguments))


def _made(function: Any, *arguments: Any) -> c_void_p:
    out = c_void_p()
    _check(function, *arguments, byref(out))
    return out


def _bytes(value: Any) -> Optional[bytes]:
    """What a `const char *` takes: texts as they are, other values as JSON, None as NULL."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    if "\0" in text:
        raise ValueError("a text for the library cannot hold NUL")
    return text.encode()


_Self = TypeVar("_Self", bound="_Handle")


class _Handle:
    _free: str

    def __init__(self, handle: c_void_p) -> None:
        self._handle: Optional[c_void_p] = handle

    def close(self) -> None:
        """Gives back what the library holds; doing it twice is fine."""
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            getattr(_lib, self._free)(handle)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def _as_parameter_(self) -> c_void_p:
        if self._handle is None:
            raise ValueError(f"the {type(self).__name__} was closed")
        return self._handle


def _array(handles: Sequence[_Handle]) -> Any:
    """An array of pointers for C; the handles must outlive it."""
    return (c_void_p * len(handles))(*[handle._as_parameter_ for handle in handles])


Object = dict[str, Any]
Json = Union[str, Object]
Choices = Union[str, Object, list[Any]]


def preflight(pool: Json, host: Json, options: Optional[Json] = None) -> Object:
    """May the host join the pool? Takes snapshots, as dicts or JSON; gives the report as a dict.

    `options`: {"force", "policy", "evidence", "complete_snapshots"}, as the header tells."""
    return _json(_lib.xcp_preflight_json, _bytes(pool), _bytes(host), _bytes(options))


def consequences(pool: Json, host: Json, options: Optional[Json] = None) -> Object:
    """What would the join do to the pool? Takes what `preflight` takes."""
    return _json(_lib.xcp_consequences_json, _bytes(pool), _bytes(host), _bytes(options))


def partition(question: Json) -> Object:
    """Which hosts of an HA pool survive: `{"hosts": ["a", "b"], "crash": ["b"]}`, and more."""
    return _json(_lib.xcp_partition_json, _bytes(question))


def failover(question: Json) -> Object:
    """Asks the planner of HA: `{"snapshot": {...}, "questions": [{"ask": "assess"}]}`; see `Snapshot.ask`."""
    return _json(_lib.xcp_failover_json, _bytes(question))


def election(question: Json) -> Object:
    """Whom to make master: `{"mode": "planned" or "emergency", "snapshot": {...}, "evidence": {...}}`."""
    return _json(_lib.xcp_election_json, _bytes(question))


def rules() -> list[Object]:
    """What the preflight checks, in the order of reports: {"rule", "compares", "remedy", "severity", ...}."""
    return list(_json(_lib.xcp_rules_json)["rules"])


def master_lock(game: Json) -> Object:
    """One host's side of the master lock of HA: `{"me": 0, "n": 2, "online": 3, "events": ["propose"]}`."""
    return _json(_lib.xcp_master_lock_json, _bytes(game))


def packing(sizes: Json) -> Object:
    """Whether VMs keep a place when hosts fail, by sizes alone: `{"free": [4, 4], "size": [3], "failures": 1}`."""
    return _json(_lib.xcp_packing_json, _bytes(sizes))


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate in DER form, as `TrustStore.pins` takes it."""
    return _text(_lib.xcp_fingerprint, certificate, len(certificate))


class Cancel(_Handle):
    """Ends calls early, from another thread or from a callback."""
    _free = "xcp_cancel_free"

    def __init__(self) -> None:
        super().__init__(_made(_lib.xcp_cancel_new))

    def cancel(self) -> None:
        """Ends all calls that were or will be given this."""
        _lib.xcp_cancel_cancel(self)


class Snapshot(_Handle):
    """The records of one pool at one moment."""
    _free = "xcp_snapshot_free"

    @classmethod
    def load(cls, source: Json, complete: bool = False) -> "Snapshot":
        """From {class: {ref: record}}; `complete` fills in what people leave out."""
        return cls(_made(_lib.xcp_snapshot_from_json, _bytes(source), complete))

    def to_dict(self) -> Object:
        """As {class: {ref: record}}."""
        return _json(_lib.xcp_snapshot_to_json, self)

    def count(self, class_name: str) -> int:
        """How many records of a class there are, such as "SR"."""
        count = c_size_t()
        _check(_lib.xcp_snapshot_count, self, _bytes(class_name), byref(count))
        return count.value

    def problems(self) -> list[Object]:
        """What could not be read of the source."""
        return list(_json(_lib.xcp_snapshot_problems_json, self)["problems"])

    def overview(self) -> Object:
        """The pool in a few numbers and names: {"master", "hosts", "srs", "networks", "vms", ...}."""
        return _json(_lib.xcp_snapshot_overview_json, self)

    def election(self, mode: str = "planned", evidence: Optional[Json] = None) -> Object:
        """Whom to make master, "planned" or in an "emergency"; evidence as of `Client.evidence`."""
        return _json(_lib.xcp_election, self, _bytes(mode), _bytes(evidence))

    def failover(self, questions: Json) -> Object:
        """Asks the planner of HA `{"calls": [...], "questions": [...]}`, as the header tells."""
        return _json(_lib.xcp_failover, self, _bytes(questions))

    def ask(self, ask: str, **about: Any) -> Object:
        """Asks the planner of HA one question: `ask("if-host-leaves", host="ignite")`, `ask("assess")`.

        The questions are those of the header; what the planner raises is a Fault."""
        answer = self.failover({"questions": [{"ask": ask, **about}]})["answers"][0]
        if "error" in answer:
            error = answer["error"]
            raise Fault("XCP_E_FAULT", " ".join([error["code"], *error["params"]]), error["code"], error["params"])
        return dict(answer["ok"])


class Report(_Handle):
    """What a preflight found."""
    _free = "xcp_report_free"

    def __init__(self, pool: Snapshot, host: Snapshot, options: Optional[Json] = None) -> None:
        super().__init__(_made(_lib.xcp_preflight, pool, host, _bytes(options)))

    @property
    def verdict(self) -> str:
        """ "ready", "unknown", "needs-force" or "blocked"."""
        return ("none", "ready", "unknown", "needs-force", "blocked")[int(_lib.xcp_report_verdict(self))]

    @property
    def blocking(self) -> int:
        """How many findings stand in the way."""
        return int(_lib.xcp_report_blocking_count(self))

    def to_dict(self) -> Object:
        """Findings, predicted fault and all."""
        return _json(_lib.xcp_report_json, self)

    def consequences(self) -> Object:
        """What the join will do."""
        return _json(_lib.xcp_report_consequences_json, self)

    def consequences_markdown(self) -> str:
        """What the join will do, for a ticket or a wiki."""
        return _text(_lib.xcp_report_consequences_markdown, self)

    def pool_after(self) -> Snapshot:
        """The pool as it will be once the host has joined, to ask further questions of."""
        return Snapshot(_made(_lib.xcp_report_pool_after, self))

    def markdown(self) -> str:
        """For a ticket or a wiki."""
        return _text(_lib.xcp_report_markdown, self)

    def plan(self, choices: Optional[Json] = None) -> "Plan":
        """The steps that make the join possible, and the join."""
        return Plan(_made(_lib.xcp_plan_join, self, _bytes(choices)))

    def __len__(self) -> int:
        return int(_lib.xcp_report_finding_count(self))

    def __str__(self) -> str:
        return _text(_lib.xcp_report_text, self)


class Plan(_Handle):
    """What to do, as data."""
    _free = "xcp_plan_free"

    @classmethod
    def load(cls, saved: Json) -> "Plan":
        """What `to_dict` gave."""
        return cls(_made(_lib.xcp_plan_from_json, _bytes(saved)))

    @classmethod
    def eject(cls, pool: Snapshot, host: str) -> "Plan":
        """What a host's ejection takes with it; the snapshot is of scope "everything"."""
        return cls(_made(_lib.xcp_plan_eject, pool, _bytes(host)))

    @classmethod
    def maintenance(cls, pool: Snapshot, host: str) -> "Plan":
        """Disable, empty, reboot and enable a host; the snapshot is of scope "everything"."""
        return cls(_made(_lib.xcp_plan_maintenance, pool, _bytes(host)))

    @classmethod
    def hand_over(cls, pool: Snapshot, host: str, evidence: Optional[Json] = None) -> "Plan":
        """Make a host the master, from what is known already; `Client.plan_hand_over` asks the hosts."""
        return cls(_made(_lib.xcp_plan_hand_over_with, pool, _bytes(evidence), _bytes(host)))

    @classmethod
    def recovery(cls, last: Snapshot, evidence: Json) -> "Plan":
        """Give a pool that lost its master another one; the evidence is that of `diagnose`."""
        return cls(_made(_lib.xcp_plan_recovery, last, _bytes(evidence)))

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to a person."""
        return bool(_lib.xcp_plan_is_complete(self))

    @property
    def losses(self) -> Object:
        """What is gone for good afterwards: {"digest", "losses"}. Show it, then pass the digest on."""
        return _json(_lib.xcp_plan_losses_json, self)

    @property
    def digest(self) -> str:
        """Equal for plans that do the same."""
        return _text(_lib.xcp_plan_digest, self)

    def steps(self, pool: Optional[Snapshot] = None, host: Optional[Snapshot] = None) -> list[Object]:
        """What each step needs, brings about and is taken back by, held against the world as it is now."""
        return list(_json(_lib.xcp_plan_steps_json, self, pool, host)["steps"])

    def to_dict(self) -> Object:
        """The plan, to save or show."""
        return _json(_lib.xcp_plan_json, self)

    def __len__(self) -> int:
        return int(_lib.xcp_plan_step_count(self))

    def __str__(self) -> str:
        return _text(_lib.xcp_plan_text, self)


class Joins(_Handle):
    """Plans of several joins, each for the pool as it will be after those before it."""
    _free = "xcp_joins_free"

    def __init__(self, reports: list[Report], choices: Optional[Choices] = None) -> None:
        """One report for each host, in the order in which they join; choices for all, or one each."""
        array = _array(reports)
        super().__init__(_made(_lib.xcp_plan_join_many, array, len(reports), _bytes(choices)))

    @classmethod
    def load(cls, saved: Json) -> "Joins":
        """What `to_dict` gave."""
        made = cls.__new__(cls)
        _Handle.__init__(made, _made(_lib.xcp_joins_from_json, _bytes(saved)))
        return made

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to a person."""
        return bool(_lib.xcp_joins_is_complete(self))

    @property
    def losses(self) -> Object:
        """What is gone for good afterwards: {"digest", "losses"}. Show it, then pass the digest on."""
        return _json(_lib.xcp_joins_losses_json, self)

    @property
    def losses_digest(self) -> str:
        """What one consents to after one has seen the losses."""
        return _text(_lib.xcp_joins_losses_digest, self)

    @property
    def digest(self) -> str:
        """Equal for joins that do the same."""
        return _text(_lib.xcp_joins_digest, self)

    def to_dict(self) -> Object:
        """The plans and the notes, to save or show."""
        return _json(_lib.xcp_joins_json, self)

    def __getitem__(self, index: int) -> Plan:
        """A copy of the plan of one host."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return Plan(_made(_lib.xcp_joins_plan, self, index % len(self)))

    def __len__(self) -> int:
        return int(_lib.xcp_joins_count(self))

    def __str__(self) -> str:
        return _text(_lib.xcp_joins_text, self)


class TrustStore(_Handle):
    """Which certificates of hosts are trusted."""
    _free = "xcp_trust_store_free"

    @classmethod
    def pins(cls, fingerprints: list[str]) -> "TrustStore":
        """Those with these SHA-256 fingerprints."""
        return cls(_made(_lib.xcp_trust_store_pins, _bytes(list(fingerprints))))

    @classmethod
    def authorities(cls, pem: str) -> "TrustStore":
        """Those that these authorities signed."""
        return cls(_made(_lib.xcp_trust_store_authorities, _bytes(pem)))

    @classmethod
    def authorities_file(cls, path: Union[str, os.PathLike[str]]) -> "TrustStore":
        """Those that the authorities in a file signed."""
        return cls(_made(_lib.xcp_trust_store_authorities_file, _bytes(os.fspath(path))))

    @classmethod
    def first_use(cls, path: Union[str, os.PathLike[str], None] = None) -> "TrustStore":
        """The one that each host shows first, remembered in a file or while the program runs."""
        if path is None:
            return cls(_made(_lib.xcp_trust_store_memory))
        return cls(_made(_lib.xcp_trust_store_file, _bytes(os.fspath(path))))

    @classmethod
    def first_use_in(cls, pins: Any) -> "TrustStore":
        """The one that each host shows first, remembered by an object of one's own.

        It has `pin(host)`, the fingerprint of a "host:port" or None, and `remember(host, fingerprint)`,
        which keeps it unless there is one, and returns the one that counts. Threads call it at once."""
        table = _TrustTable(ctypes.sizeof(_TrustTable), _keep(pins), _PIN_CALL, _REMEMBER_CALL, _RELEASE_CALL)
        return cls(_given(table, _lib.xcp_trust_store_custom))

    @classmethod
    def danger_accept_any(cls) -> "TrustStore":
        """Any: whoever is on the way gets the password."""
        return cls(_made(_lib.xcp_trust_store_danger_accept_any))

    def remembered(self) -> dict[str, str]:
        """Hosts and fingerprints of a store with a file."""
        return dict(_json(_lib.xcp_trust_store_pins_json, self)["pins"])

    def forget(self, host: str) -> None:
        """Trusts the next certificate of "host:port" anew."""
        _check(_lib.xcp_trust_store_forget, self, _bytes(host))


class Transport(_Handle):
    """The way to hosts."""
    _free = "xcp_transport_free"

    @classmethod
    def https(cls, trust: Optional[TrustStore] = None, **options: Any) -> "Transport":
        """To real hosts; options as the header tells (connect_timeout=5, ...)."""
        return cls(_made(_lib.xcp_transport_https, _bytes(options), trust))

    def remember_members(self, pool: Snapshot, port: int = 443) -> int:
        """Has the master, which is trusted on first use, vouch for the certificates of its members.

        The snapshot is of scope "preflight" or "everything"; gives how many are remembered."""
        count = c_size_t()
        _check(_lib.xcp_transport_remember_members, self, pool, port, byref(count))
        return count.value

    @classmethod
    def custom(cls, exchange: Callable[[str, bytes, float], bytes]) -> "Transport":
        """One's own: `exchange(url, body, timeout)` posts the body and returns the reply's.

        What it raises is what the call fails with: Error with a status, TimeoutError, or anything."""
        table = _TransportTable(ctypes.sizeof(_TransportTable), _keep(exchange), _EXCHANGE_CALL, _RELEASE_CALL)
        return cls(_given(table, _lib.xcp_transport_custom))


# What C calls stays as long as the module; what it calls for is found by a number, until C releases that.
_callers: dict[int, Any] = {}
_numbers = itertools.count(1)


def _keep(caller: Any) -> int:
    number = next(_numbers)
    _callers[number] = caller
    return number


def _given(table: Any, function: Any) -> c_void_p:
    try:
        return _made(function, byref(table))
    except BaseException:
        _callers.pop(table.ctx)
        raise


def _answer(reply: int, failed: int, of: Callable[[], bytes]) -> None:
    try:
        answer = of()
        _check(_lib.xcp_reply_body, reply, answer, len(answer))
    except BaseException as error:  # nothing may pass into C
        timeout = isinstance(error, TimeoutError) or getattr(error, "status", "") == "XCP_E_TIMEOUT"
        message = f"{type(error).__name__}: {error}".replace("\0", "\N{REPLACEMENT CHARACTER}")
        _lib.xcp_reply_error(reply, 201 if timeout else failed, message.encode("utf-8", "replace"), None)


def _exchange(ctx: int, request: int, reply: int) -> None:
    def of() -> bytes:
        length = c_size_t()
        body = ctypes.string_at(_lib.xcp_request_body(request, byref(length)), length.value)
        url = _lib.xcp_request_url(request).decode()
        return bytes(_callers[ctx](url, body, _lib.xcp_request_timeout_ms(request) / 1000))
    _answer(reply, 200, of)


def _pin(ctx: int, host: bytes, reply: int) -> None:
    _answer(reply, 202, lambda: (_callers[ctx].pin(host.decode()) or "").encode())


def _remember(ctx: int, host: bytes, fingerprint: bytes, reply: int) -> None:
    _answer(reply, 202, lambda: _callers[ctx].remember(host.decode(), fingerprint.decode()).encode())


_EXCHANGE_CALL = _EXCHANGE(_exchange)
_PIN_CALL, _REMEMBER_CALL = _PIN(_pin), _REMEMBER(_remember)
_RELEASE_CALL = _RELEASE(lambda ctx: _callers.pop(ctx, None) and None)


# The numbers of C for the levels of `logging`.
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG, 5: logging.DEBUG - 5}


def log_to(logger: Optional[logging.Logger] = None) -> None:
    """Has a logger hear what the library does, in the whole process; None ends it.

    `log_to(logging.getLogger("xcp_pool"))`. How much it hears is the logger's own level at the time of
    this call; the lines go to its children "client", "operations" and "transport". They never hold
    passwords, sessions or parameters. A handler that calls on a client which is in a call gets an Error."""
    own = logger.getEffectiveLevel() if logger else None
    level = max((number for number, python in _LEVELS.items() if own is not None and python >= own), default=0)
    ctx = _keep(logger) if level else None
    try:
        _check(_lib.xcp_log_set, level, _LOG_CALL, ctx, _RELEASE_CALL if level else _RELEASE(0))
    except BaseException:
        if ctx is not None:
            _callers.pop(ctx)
        raise


def _log(ctx: int, level: int, target: bytes, message: bytes) -> None:
    try:
        child = _callers[ctx].getChild(target.decode().partition("::")[2] or "log")
        child.log(_LEVELS[level], "%s", message.decode())
    except BaseException:  # nothing may pass into C, and nobody is there to tell
        pass


_LOG_CALL = _LOG(_log)
# The library's threads must not call into an interpreter that has gone.
atexit.register(log_to)


class Simulator(_Handle):
    """Hosts in memory that answer as real ones were recorded to."""
    _free = "xcp_simulator_free"

    def __init__(self, spec: Json) -> None:
        super().__init__(_made(_lib.xcp_simulator_new, _bytes(spec)))

    @classmethod
    def story(cls, seed: int = 1) -> "Simulator":
        """Phantom, master of a pool, and Ignite, who should join; the password is "xcp-test"."""
        made = cls.__new__(cls)
        _Handle.__init__(made, _made(_lib.xcp_simulator_story, seed))
        return made

    def transport(self) -> Transport:
        """The way to its hosts."""
        return Transport(_made(_lib.xcp_transport_simulator, self))

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return float(_lib.xcp_simulator_now(self))

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        _check(_lib.xcp_simulator_advance, self, seconds)

    def power_off(self, host: str) -> None:
        """Cuts a host's power."""
        _check(_lib.xcp_simulator_power_off, self, _bytes(host))

    def power_on(self, host: str) -> None:
        """Boots a host."""
        _check(_lib.xcp_simulator_power_on, self, _bytes(host))

    def restart_toolstack(self, host: str) -> None:
        """Restarts a host's toolstack."""
        _check(_lib.xcp_simulator_restart_toolstack, self, _bytes(host))

    def cut(self, one: Optional[str], other: Optional[str]) -> None:
        """Cuts the network between two; None is this tool."""
        _check(_lib.xcp_simulator_cut, self, _bytes(one), _bytes(other))

    def heal(self, one: Optional[str], other: Optional[str]) -> None:
        """Mends it."""
        _check(_lib.xcp_simulator_heal, self, _bytes(one), _bytes(other))

    def trouble(self, trouble: Json, **rule: Any) -> None:
        """Has requests go wrong: `trouble("lose-reply", host="ignite", method="pool.join")`."""
        _check(_lib.xcp_simulator_trouble, self, _bytes({"trouble": trouble, **rule}))

    def act(self, *acts: Object) -> None:
        """Does things to the world at one moment: `act({"act": "cut-state-file", "host": "ignite"})`.

        The acts are those of the header; one with "after" happens so many seconds later."""
        _check(_lib.xcp_simulator_act, self, _bytes(list(acts)))

    def step(self, until: float) -> bool:
        """Does the next thing that is due until then; False if there is none."""
        done = c_bool()
        _check(_lib.xcp_simulator_step, self, until, byref(done))
        return done.value

    @property
    def state(self) -> Object:
        """The world from above: {"now", "masters", "lock_holders", "fenced", "requests", "sessions", ...}."""
        return _json(_lib.xcp_simulator_state_json, self)

    def serve(self, **options: Any) -> "Front":
        """Serves the hosts on sockets of this machine (https=0, address="127.0.0.2", ...)."""
        return Front(_made(_lib.xcp_front_start, self, _bytes(options)))

    def count(self, host: str, class_name: str) -> int:
        """How many objects of a class a host's database has."""
        count = c_size_t()
        _check(_lib.xcp_simulator_count, self, _bytes(host), _bytes(class_name), byref(count))
        return count.value

    def host(self, name: str) -> Object:
        """What a host takes itself for."""
        return _json(_lib.xcp_simulator_host_json, self, _bytes(name))

    def database(self, host: str) -> Object:
        """The database that a host works on."""
        return _json(_lib.xcp_simulator_database_json, self, _bytes(host))


class Front(_Handle):
    """A simulated world on sockets, for any XAPI client; ends when it is closed."""
    _free = "xcp_front_free"

    @property
    def hosts(self) -> list[Object]:
        """Where the hosts are: [{"name", "address", "http", "https", "url", "fingerprint"}]."""
        return list(_json(_lib.xcp_front_hosts_json, self)["hosts"])

    @property
    def addresses(self) -> dict[str, str]:
        """Where the addresses lead by which hosts name each other: an option of `Client`."""
        return dict(_json(_lib.xcp_front_hosts_json, self)["addresses"])

    @property
    def served(self) -> int:
        """How many calls were served."""
        return int(_lib.xcp_front_served(self))

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return int(_lib.xcp_front_connections(self))


class LocalSession(_Handle):
    """A session with one host alone, whatever its role: also with a member, also in emergency mode."""
    _free = "xcp_local_session_free"

    def __init__(self, transport: Transport, address: str, user: str, password: str,
                 cancel: Optional[Cancel] = None, **options: Any) -> None:
        """Logs in at a host and nowhere else; `options` as the header tells (`timeout` in seconds, ...)."""
        super().__init__(_made(_lib.xcp_local_session_open, transport, _bytes(address), _bytes(user),
                               _bytes(password), _bytes(options), cancel))

    @property
    def endpoint(self) -> str:
        """The host's address."""
        return _text(_lib.xcp_local_session_endpoint, self)

    def call(self, method: str, *params: Any, cancel: Optional[Cancel] = None) -> Any:
        """Calls a method of XAPI, once: `call("pool.emergency_transition_to_master")`."""
        text = _text(_lib.xcp_local_session_call_json, self, _bytes(method), _bytes(list(params)), cancel)
        return json.loads(text) if text else None

    def is_in_emergency_mode(self, cancel: Optional[Cancel] = None) -> bool:
        """Whether the host has lost its pool."""
        emergency = c_bool()
        _check(_lib.xcp_local_session_is_in_emergency_mode, self, cancel, byref(emergency))
        return emergency.value


class Task(_Handle):
    """A call that runs in the server as a task; closing leaves it running."""
    _free = "xcp_task_free"

    @property
    def ref(self) -> str:
        """The task's ref."""
        return str(_lib.xcp_task_ref(self).decode())

    def record(self, cancel: Optional[Cancel] = None) -> Object:
        """The task as it stands."""
        return _json(_lib.xcp_task_record_json, self, cancel)

    def cancel(self) -> None:
        """Asks the server to cancel it; many operations never look whether they should."""
        _check(_lib.xcp_task_cancel, self, None)

    def wait(self, progress: Optional[Callable[[float], None]] = None, cancel: Optional[Cancel] = None) -> Any:
        """Waits for its end; what `progress` raises ends the wait, not the task, and is raised here."""
        with _Callback(_TASK_PROGRESS, progress, cancel) as callback:
            return _value(_lib.xcp_task_wait_json, self, callback.function, None, callback.cancel)


def probe(transport: Transport, address: str, user: str, password: str, cancel: Optional[Cancel] = None,
          **options: Any) -> Object:
    """Asks one host what it is: {"role": "master" or "member", "pool", "master"}."""
    return _json(_lib.xcp_probe_json, transport, _bytes(address), _bytes(user), _bytes(password), _bytes(options),
                 cancel)


class Client(_Handle):
    """A session with the master of one pool; may be used by many threads."""
    _free = "xcp_client_free"

    def __init__(self, transport: Transport, address: str, user: str, password: str,
                 cancel: Optional[Cancel] = None, **options: Any) -> None:
        """Logs in at a host, or at the master that it names.

        `options`: `originator`, `pool_uuid` (the only pool that is accepted), `timeout` of a call and
        `patience` with a lost master in seconds, `max_reply` in bytes, `addresses` ({address: real one}),
        `members` (where else to look for the pool)."""
        super().__init__(_made(_lib.xcp_client_connect, transport, _bytes(address), _bytes(user),
                               _bytes(password), _bytes(options), cancel))

    @property
    def endpoint(self) -> str:
        """The master's address."""
        return _text(_lib.xcp_client_endpoint, self)

    @property
    def pool_uuid(self) -> str:
        """The pool that it belongs to."""
        return _text(_lib.xcp_client_pool_uuid, self, None)

    def snapshot(self, scope: Union[str, list[str]] = "overview", settled: bool = False,
                 cancel: Optional[Cancel] = None) -> Snapshot:
        """Reads the pool: "overview", "preflight", "election", "failover", "everything", or a list of classes."""
        return Snapshot(_made(_lib.xcp_client_snapshot, self, _bytes(scope), settled, cancel))

    def call(self, method: str, *params: Any, cancel: Optional[Cancel] = None) -> Any:
        """Calls a method of XAPI, session left out: `call("host.get_all")`."""
        return _value(_lib.xcp_client_call_json, self, _bytes(method), _bytes(list(params)), cancel)

    def task(self, method: str, *params: Any, progress: Optional[Callable[[float], None]] = None,
             cancel: Optional[Cancel] = None) -> Any:
        """Runs a method as a task and waits; what `progress` raises ends the wait and is raised here."""
        with _Callback(_TASK_PROGRESS, progress, cancel) as callback:
            return _value(_lib.xcp_client_task_json, self, _bytes(method), _bytes(list(params)),
                          callback.function, None, callback.cancel)

    def within(self, timeout: Optional[float] = None, max_reply: Optional[int] = None) -> "Client":
        """A view: a client with this one's session, for whose calls these limits hold, in seconds and bytes."""
        view = Client.__new__(Client)
        options = {"timeout": timeout, "max_reply": max_reply}
        _Handle.__init__(view, _made(_lib.xcp_client_view, self, _bytes(options)))
        return view

    def preflight(self, host: "Client", options: Optional[Json] = None, cancel: Optional[Cancel] = None) -> Report:
        """May the host join this pool? Reads both, with the evidence that no database has."""
        report = Report.__new__(Report)
        _Handle.__init__(report, _made(_lib.xcp_preflight_live, self, host, _bytes(options), cancel))
        return report

    def join_evidence(self, host: "Client", cancel: Optional[Cancel] = None) -> Object:
        """Both clocks, and the master's address: the "evidence" of a preflight that no database tells."""
        return _json(_lib.xcp_join_evidence_json, self, host, cancel)

    def start(self, method: str, *params: Any, cancel: Optional[Cancel] = None) -> Task:
        """Starts a method as a task, and does not wait for it."""
        return Task(_made(_lib.xcp_client_start, self, _bytes(method), _bytes(list(params)), cancel))

    def beside(self, address: str, cancel: Optional[Cancel] = None) -> "Client":
        """A client of another host, or of the master that it names, whatever pool that is."""
        made = Client.__new__(Client)
        _Handle.__init__(made, _made(_lib.xcp_client_beside, self, _bytes(address), cancel))
        return made

    def local(self, address: str, cancel: Optional[Cancel] = None) -> LocalSession:
        """A session with one host alone, in this client's name."""
        made = LocalSession.__new__(LocalSession)
        _Handle.__init__(made, _made(_lib.xcp_client_local, self, _bytes(address), cancel))
        return made

    def role_of(self, address: str, cancel: Optional[Cancel] = None) -> Object:
        """Asks another host what it is; as `probe`."""
        return _json(_lib.xcp_client_role_json, self, _bytes(address), cancel)

    def locate(self, address: str) -> str:
        """Where a host really is that the pool knows by an address."""
        return _text(_lib.xcp_client_locate, self, _bytes(address))

    def evidence(self, snapshot: Snapshot, cancel: Optional[Cancel] = None) -> Object:
        """Asks every host of a snapshot what it is, for `Snapshot.election` and `Plan.hand_over`."""
        return _json(_lib.xcp_evidence_json, self, snapshot, cancel)

    def join_many(self, hosts: list["Client"], joins: Joins, consent: Optional[str] = None,
                  progress: Optional[Callable[[Object], None]] = None, cancel: Optional[Cancel] = None,
                  **options: Any) -> Object:
        """Makes the hosts of other clients members, one after the other, in the order of the plans.

        Gives {"all_joined", "hosts": [{"host", "outcome", "joined", "reason", "fault", "evidence"}]}. As `join`;
        `on_failure="continue"` tries the hosts after one that did not join."""
        array, every = _array(hosts), c_bool()
        with _Callback(_PROGRESS, _decoded(progress), cancel) as callback:
            told = _json(_lib.xcp_join_many, self, array, len(hosts), joins, _bytes(consent), _bytes(options),
                         callback.function, None, callback.cancel, byref(every))
        return {"all_joined": every.value, **told}

    def join(self, host: "Client", plan: Plan, consent: Optional[str] = None,
             progress: Optional[Callable[[Object], None]] = None, cancel: Optional[Cancel] = None,
             **options: Any) -> Object:
        """Makes the other client's host a member of this pool, as planned.

        `consent` is the digest of the plan's losses, after a person has seen them. What `progress`
        raises ends the operation and is raised here."""
        with _Callback(_PROGRESS, _decoded(progress), cancel) as callback:
            return _json(_lib.xcp_join, self, host, plan, _bytes(consent), _bytes(options),
                         callback.function, None, callback.cancel)

    def plan_hand_over(self, host: str, cancel: Optional[Cancel] = None) -> Plan:
        """Plans to make a host the master; asks every host of the pool."""
        return Plan(_made(_lib.xcp_plan_hand_over, self, _bytes(host), cancel))

    def run(self, plan: Plan, consent: Optional[str] = None,
            progress: Optional[Callable[[Object], None]] = None, cancel: Optional[Cancel] = None,
            **options: Any) -> Object:
        """Runs the plan of an ejection, a hand-over or a maintenance; as `join`."""
        with _Callback(_PROGRESS, _decoded(progress), cancel) as callback:
            return _json(_lib.xcp_run, self, plan, _bytes(consent), _bytes(options),
                         callback.function, None, callback.cancel)

    def watch(self, scope: Union[str, list[str]] = "overview", cancel: Optional[Cancel] = None,
              **options: Any) -> "Watch":
        """Follows the pool; `hold` is how many seconds the server may hold a request."""
        if not options:
            return Watch(_made(_lib.xcp_client_watch, self, _bytes(scope), cancel))
        return Watch(_made(_lib.xcp_client_watch_with, self, _bytes(scope), _bytes(options), cancel))

    def cancel(self) -> None:
        """Ends all calls on this client that are going on."""
        _lib.xcp_client_cancel(self)


def diagnose(transport: Transport, hosts: Union[list[str], Object], user: str, password: str,
             last: Optional[Snapshot] = None, cancel: Optional[Cancel] = None) -> Object:
    """Says in what state a pool is, also when no master answers; under "text" for people.

    `hosts` are addresses, or {"hosts", "addresses", "patience", ...} with the options of the header; `last`
    is a snapshot from when a master answered, and "evidence" what `Plan.recovery` takes."""
    out, text = c_void_p(), c_void_p()
    _check(_lib.xcp_diagnose, transport, _bytes(hosts), _bytes(user), _bytes(password), last, cancel,
           byref(out), byref(text))
    return {**json.loads(_taken(out)), "text": _taken(text)}


def recover(transport: Transport, hosts: Union[list[str], Object], user: str, password: str, last: Snapshot, plan: Plan,
            consent: Optional[str] = None, progress: Optional[Callable[[Object], None]] = None,
            cancel: Optional[Cancel] = None, **options: Any) -> Object:
    """Gives a pool the master that is planned, and looks at every member; as `Client.join`."""
    with _Callback(_PROGRESS, _decoded(progress), cancel) as callback:
        return _json(_lib.xcp_recover, transport, _bytes(hosts), _bytes(user), _bytes(password), last,
                     plan, _bytes(consent), _bytes(options), callback.function, None, callback.cancel)


class Watch(_Handle):
    """An iterator over changes: {"class", "ref", "operation"}; ends when it is cancelled."""
    _free = "xcp_watch_free"

    def __iter__(self) -> Iterator[Object]:
        return self

    def __next__(self) -> Object:
        try:
            return _json(_lib.xcp_watch_next, self, None)
        except Cancelled:
            raise StopIteration from None

    def poll(self, cancel: Optional[Cancel] = None) -> int:
        """Waits a while for changes; how many `next` has without waiting."""
        count = c_size_t()
        _check(_lib.xcp_watch_poll, self, cancel, byref(count))
        return count.value

    def snapshot(self) -> Snapshot:
        """The pool as it is known now."""
        return Snapshot(_made(_lib.xcp_watch_snapshot, self))

    def cancel(self) -> None:
        """Ends the iteration, from any thread."""
        _lib.xcp_watch_cancel(self)


def _decoded(progress: Optional[Callable[[Object], None]]) -> Optional[Callable[[bytes], None]]:
    return None if progress is None else lambda text: progress(json.loads(text))


class _Callback:
    """A callback whose exception ends the call and comes out of it."""

    def __init__(self, kind: Any, function: Optional[Callable[[Any], None]], cancel: Optional[Cancel]) -> None:
        self.raised: Optional[BaseException] = None
        self.function, self.cancel, self._own = kind(0), cancel, None
        if function is None:
            return
        ends = cancel if cancel is not None else Cancel()
        self.cancel, self._own = ends, ends if cancel is None else None

        def call(_ctx: Any, value: Any) -> None:
            try:
                if self.raised is None:
                    function(value)
            except BaseException as error:  # nothing may pass into C
                self.raised = error
                ends.cancel()

        self.function = kind(call)

    def __enter__(self) -> "_Callback":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._own is not None:
            self._own.close()
        if self.raised is not None:
            raise self.raised
