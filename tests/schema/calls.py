"""What crosses the C ABI as JSON: each argument of the header with its type in Rust.

A new result or input gets its line in CALLS: the function, the argument, the file and type below src, and what its
schema is called. make.py finds everything below that type by itself, with its documentation. What serde does not
know is told in the tables after CALLS.
"""

TEXT, ANY, FLAG = {"type": "string"}, {}, {"type": "boolean"}
SNAPSHOT = {"$ref": "#/$defs/snapshot"}


def result(path, called=None):
    """An object of this type, under its schema number; called so, or as the type."""
    return ("result", path, called)


def written(path, called=None):
    """What a type writes."""
    return ("out", path, called)


def read(path, called=None):
    """What a type reads."""
    return ("in", path, called)


def either(*options):
    return {"anyOf": list(options)}


HOSTS = read("ffi/rescue.rs:Hosts", "members")
LIMITS = read("ffi/arguments.rs:Options", "limits")
ROLE = result("ffi/hosts.rs:RoleText", "role_of_host")
TASK = {
    "type": "object", "description": "A record of XAPI's class task.",
    "properties": {
        "schema": {"const": 1}, "progress": {"type": "number"}, "other_config": {"type": "object", "additionalProperties": TEXT},
        "error_info": {"type": "array", "items": TEXT}, "subtasks": {"type": "array", "items": TEXT},
        **{name: TEXT for name in ("uuid", "name_label", "name_description", "created", "finished", "status",
                                   "resident_on", "type", "result", "subtask_of")},
    },
}
TASK["required"] = list(TASK["properties"])
PARAMS = {"type": "array", "description": "The parameters of a method of XAPI, the session left out."}
OF_XAPI = {"description": "What a method of XAPI answers, of its own type and without a schema number."}
LOSSES = result("ffi/plan.rs:Losses", "losses")
OPTIONS = read("ffi/control.rs:Options", "run_options")
EVIDENCE = read("election/evidence.rs:PoolEvidence", "election_evidence_input")
DECISION = result("election/decision.rs:Decision", "election_decision")
ANSWERS = result("ffi/json/failover.rs:Answers", "failover_outcome")
PREFLIGHT = {
    "pool_snapshot_json": SNAPSHOT, "host_snapshot_json": SNAPSHOT, 
    "options_json": read("ffi/json/preflight.rs:Written", "preflight_json_options"),
}

# Every argument of the header that is JSON; "returns" is the text that a function returns.
CALLS = {
    "xcp_error_fault_params_json": {"returns": {"type": "array", "items": TEXT}},
    "xcp_error_mismatch_json": {"returns": written("ffi/error.rs:MismatchText", "mismatch")},
    "xcp_error_evidence_json": {"returns": {"type": "array", "items": TEXT}},
    "xcp_snapshot_from_json": {"json": SNAPSHOT},
    "xcp_snapshot_to_json": {"json": SNAPSHOT},
    "xcp_snapshot_overview_json": {"overview_json": result("model/overview.rs:Overview", "overview_result")},
    "xcp_snapshot_problems_json": {"problems_json": result("ffi/snapshot.rs:Problems", "problems")},
    "xcp_preflight": {"options_json": read("preflight/options.rs:Options", "preflight_options_input")},
    "xcp_preflight_live": {"options_json": read("preflight/options.rs:Options", "preflight_options_input")},
    "xcp_join_evidence_json": {"evidence_json": result("preflight/options.rs:Evidence", "join_evidence")},
    "xcp_preflight_json": {**PREFLIGHT, "report_json": written("preflight/report.rs:Report")},
    "xcp_report_json": {"json": written("preflight/report.rs:Report")},
    "xcp_report_consequences_json": {"consequences_json": written("preflight/consequences/mod.rs:Consequences")},
    "xcp_consequences_json": {
        **PREFLIGHT, "consequences_json": written("preflight/consequences/mod.rs:Consequences"),
    },
    "xcp_plan_join": {"choices_json": read("ffi/plan.rs:Chosen", "choices")},
    "xcp_plan_from_json": {"json": written("plan/mod.rs:Plan")},
    "xcp_plan_json": {"json": written("plan/mod.rs:Plan")},
    "xcp_plan_losses_json": {"losses_json": LOSSES},
    "xcp_plan_recovery": {"evidence_json": EVIDENCE},
    "xcp_plan_hand_over_with": {"evidence_json": EVIDENCE},
    "xcp_plan_join_many": {"choices_json": read("ffi/joins.rs:Written", "choices_of_many")},
    "xcp_joins_from_json": {"json": written("plan/join_many.rs:Joins")},
    "xcp_joins_json": {"json": written("plan/join_many.rs:Joins")},
    "xcp_joins_losses_json": {"losses_json": LOSSES},
    "xcp_partition_json": {
        "input_json": either(read("ffi/json/partition.rs:Story", "partition_story"),
                             read("election/partition/views.rs:Views", "partition_views"),
                             read("election/partition/local.rs:LocalView", "partition_local_view"),
                             read("election/partition/scenario.rs:Saved", "partition_scenario")),
        "outcome_json": either(result("ffi/json/partition.rs:Whole", "partition_outcome"),
                               result("ffi/json/partition.rs:Decisions", "partition_decisions"),
                               result("ffi/json/partition.rs:OneHost", "partition_decision"),
                               result("ffi/json/partition.rs:Objections", "partition_objections")),
    },
    "xcp_master_lock_json": {
        "input_json": read("ffi/json/lock.rs:Game", "master_lock_input"),
        "state_json": result("ffi/json/lock.rs:State", "master_lock"),
    },
    "xcp_election": {"evidence_json": EVIDENCE, "decision_json": DECISION},
    "xcp_election_json": {
        "input_json": read("ffi/json/election.rs:Question", "election_question"), "decision_json": DECISION,
    },
    "xcp_failover": {
        "questions_json": read("ffi/json/failover.rs:Everything", "failover_questions"), "outcome_json": ANSWERS,
    },
    "xcp_failover_json": {
        "input_json": read("ffi/json/failover.rs:Input", "failover_question"), "outcome_json": ANSWERS,
    },
    "xcp_packing_json": {
        "input_json": read("ffi/json/packing.rs:Sizes", "packing_input"),
        "outcome_json": result("ffi/json/packing.rs:Packed", "packing"),
    },
    "xcp_plan_steps_json": {"steps_json": result("ffi/steps.rs:Steps", "plan_steps")},
    "xcp_rules_json": {"rules_json": result("ffi/json/rules.rs:Rules", "rules")},
    "xcp_trust_store_pins": {"pins_json": {"type": "array", "items": TEXT, "description": "SHA-256 fingerprints."}},
    "xcp_trust_store_pins_json": {"pins_json": result("ffi/trust.rs:Pins", "pins")},
    "xcp_transport_https": {"options_json": read("ffi/transport/mod.rs:HttpOptions", "https_options")},
    "xcp_simulator_new": {"spec_json": read("ffi/simulator/spec.rs:WorldSpec", "simulator_spec")},
    "xcp_simulator_trouble": {"rule_json": read("ffi/simulator/spec.rs:TroubleSpec", "simulator_trouble")},
    "xcp_simulator_host_json": {"host_json": result("ffi/simulator/mod.rs:Host", "simulator_host")},
    "xcp_simulator_database_json": {"database_json": SNAPSHOT},
    "xcp_simulator_act": {"act_json": read("ffi/simulator/scene.rs:Acts", "simulator_acts")},
    "xcp_simulator_state_json": {"state_json": result("ffi/simulator/scene.rs:WorldText", "simulator_state")},
    "xcp_front_start": {"options_json": read("ffi/simulator/front.rs:Options", "front_options")},
    "xcp_front_hosts_json": {"hosts_json": result("ffi/simulator/front.rs:ServedHosts", "front_hosts")},
    "xcp_client_connect": {"options_json": read("ffi/client.rs:ClientOptions", "client_options")},
    "xcp_client_call_json": {"params_json": PARAMS, "result_json": OF_XAPI},
    "xcp_client_view": {"options_json": LIMITS},
    "xcp_client_task_json": {"params_json": PARAMS, "result_json": OF_XAPI},
    "xcp_client_start": {"params_json": PARAMS},
    "xcp_task_record_json": {"record_json": TASK},
    "xcp_task_wait_json": {"result_json": OF_XAPI},
    "xcp_probe_json": {"options_json": LIMITS, "role_json": ROLE},
    "xcp_client_role_json": {"role_json": ROLE},
    "xcp_local_session_open": {"options_json": LIMITS},
    "xcp_local_session_call_json": {"params_json": PARAMS, "result_json": OF_XAPI},
    "xcp_evidence_json": {"evidence_json": result("election/evidence.rs:PoolEvidence", "evidence_result")},
    "xcp_client_watch_with": {"options_json": read("ffi/watch.rs:Options", "watch_options")},
    "xcp_watch_next": {"change_json": result("ffi/watch.rs:ChangeText", "change")},
    "xcp_progress": {"progress_json": result("ffi/control.rs:ProgressText", "progress")},
    "xcp_join": {"options_json": OPTIONS, "joined_json": result("operations/join.rs:Joined", "joined_result")},
    "xcp_run": {
        "options_json": OPTIONS,
        "result_json": either(result("operations/eject.rs:Ejected", "ejected"), result("operations/hand_over.rs:HandedOver", "handed_over"),
                              result("operations/maintenance.rs:Maintained", "maintained")),
    },
    "xcp_join_many": {
        "options_json": read("ffi/control.rs:OptionsOfMany", "join_many_options"), "joined_json": result("ffi/joins.rs:Attempts", "joined_many"),
    },
    "xcp_diagnose": {"hosts_json": HOSTS, "diagnosis_json": result("ffi/rescue.rs:Told", "diagnosis")},
    "xcp_recover": {
        "hosts_json": HOSTS, "options_json": OPTIONS, "recovered_json": result("operations/recover/recovered.rs:Recovered", "recovered"),
    },
}

# Types with a form of their own (`impl Serialize`), by name.
BY_HAND = {
    "Class": {**TEXT, "description": "XAPI's name of a class."},
    "Digest": {**TEXT, "pattern": "^sha256:[0-9a-f]{64}$"},
    "CpuFeature": TEXT,
    "CpuFeatures": {**TEXT, "pattern": "^([0-9a-f]{8}(-[0-9a-f]{8})*)?$"},
    "HostSet": {"type": "integer", "minimum": 0, "description": "A set of hosts: bit k is the host of index k."},
    "Ref": {**TEXT, "description": "A ref of XAPI, such as OpaqueRef:..."},
    "RuleCode": {**TEXT, "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "description": "The code of a rule."},
    "Since": {"type": ["string", "null"], "description": "A release of XAPI, such as 25.8.0; null for every supported one."},
    "Timestamp": {**TEXT, "description": "A datetime of XAPI, such as 20240101T00:00:00Z."},
    "Uuid": {**TEXT, "description": "A uuid of XAPI."},
    "Version": TEXT,
}

# Texts of a field that are one of a few words.
WORDS = {
    "ffi/hosts.rs:RoleText.role": ["master", "member"],
    "ffi/joins.rs:Attempt.outcome": ["done", "not-done", "skipped", "unknown"],
    "ffi/json/packing.rs:Packed.verdict": ["no-size", "possible", "too-few-hosts", "too-few-slots", "unplaced"],
    "ffi/json/partition.rs:Story.ask": ["objections", "outcome"],
    "ffi/simulator/mod.rs:RoleText.role": ["broken", "master", "slave"],
    "ffi/simulator/scene.rs:FencedText.cause": ["lost", "requested", "watchdog"],
    "ffi/watch.rs:ChangeText.operation": ["added", "deleted", "modified"],
    "preflight/consequences/mod.rs:Consequences.call": ["pool.join", "pool.join_force"],
}

# What is behind a `Value` of a variant.
INSIDE = {
    "ffi/json/questions.rs:Told.ok": either(*map(written, [
        "ffi/json/questions.rs:Agility", "failover/assess.rs:Assessment", "failover/host_evacuation.rs:HostEvacuation",
        "failover/failure.rs:FailureOutcome", "ffi/json/questions.rs:HostMemory", "failover/what_if.rs:WhatIfOutcome",
        "failover/maximum.rs:Maximum", "ffi/json/questions.rs:Moves", "failover/plan.rs:FailurePlan",
        "ffi/json/questions.rs:Refusal", "failover/plan.rs:RestartPlan", "ffi/json/questions.rs:VmMemory",
    ])),
}

# What has no type of its own.
OWN = {
    "snapshot": {
        "description": "The records of one pool: {class: {ref: record}} in XAPI's names and forms. It has no schema "
                       "number: its form is XAPI's.",
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "object"}},
    },
}
