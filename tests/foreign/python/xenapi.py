"""The official Python SDK against the simulator's front, over XML-RPC.

XCP_SIMULATED is what `simulate --json` says.
"""

import json
import os
import threading
import time
import xmlrpc.client

import XenAPI

SIMULATED = json.loads(os.environ["XCP_SIMULATED"])
HOSTS = {host["name"]: host for host in SIMULATED["hosts"]}
USER, PASSWORD = SIMULATED["user"], SIMULATED["password"]


def log_in(url):
    session = XenAPI.Session(url, ignore_ssl=url.startswith("https:"))
    session.xenapi.login_with_password(USER, PASSWORD, "1.0", "foreign test")
    return session


def failure(call, *args):
    """The error of a call that must fail, code first."""
    try:
        result = call(*args)
    except XenAPI.Failure as error:
        return error.details
    raise AssertionError(f"no failure: {result!r}")


def equal(actual, expected):
    assert actual == expected, f"{actual!r}, not {expected!r}"


def wait_for(what, done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def a_login_at_a_member_is_led_to_the_master():
    for scheme in ["http", "https"]:
        member = HOSTS["lab-2"][scheme]
        session = XenAPI.Session(member, ignore_ssl=scheme == "https")
        # The SDK says where the master is; going there is the caller's business.
        code, master = failure(session.xenapi.login_with_password, USER, PASSWORD)
        equal(code, "HOST_IS_SLAVE")
        session = log_in(member.replace(HOSTS["lab-2"]["address"], master))
        pool = session.xenapi.pool.get_all()[0]
        equal(session.xenapi.host.get_address(session.xenapi.pool.get_master(pool)), master)
        equal(session.xenapi.pool.get_name_label(pool), "lab")
        assert session.API_version.startswith("2."), session.API_version
        session.xenapi.session.logout()


def a_wrong_password_is_refused():
    session = XenAPI.Session(HOSTS["phantom"]["http"])
    refused = failure(session.xenapi.login_with_password, USER, "wrong")
    equal(refused, ["SESSION_AUTHENTICATION_FAILED", USER, "Authentication failure"])


def every_class_can_be_read():
    session = log_in(HOSTS["lab-1"]["http"])
    listed = session.system.listMethods()
    classes = [name.split(".")[0] for name in listed if name.endswith(".get_all_records")]
    assert len(classes) > 55, classes
    read = 0
    for name in classes:
        proxy = getattr(session.xenapi, name)
        try:
            records = proxy.get_all_records()
        except XenAPI.Failure as error:
            equal(error.details, ["MESSAGE_REMOVED"])
            continue
        for ref, record in records.items():
            assert isinstance(ref, str) and isinstance(record, dict), (name, ref)
            # Some classes have no other getters.
            if f"{name}.get_record" in listed and name not in ("session", "task"):
                equal(set(proxy.get_record(ref)), set(record))
        read += len(records)
    assert read > 50, read
    host = session.xenapi.host.get_all_records().popitem()[1]
    assert isinstance(host["enabled"], bool)
    assert isinstance(host["memory_overhead"], str), "integers are texts in XML-RPC"
    metrics = session.xenapi.host_metrics.get_all_records().popitem()[1]
    assert isinstance(metrics["last_updated"], xmlrpc.client.DateTime)
    vm = next(iter(session.xenapi.VM.get_all_records().values()))
    assert isinstance(vm["HVM_shadow_multiplier"], float)
    session.xenapi.session.logout()


def failures_come_with_their_parameters():
    session = log_in(HOSTS["lab-1"]["https"])
    equal(failure(session.xenapi.VM.get_by_uuid, "nope"), ["UUID_INVALID", "VM", "nope"])
    equal(failure(session.xenapi.host.get_record, "OpaqueRef:no"), ["HANDLE_INVALID", "host", "OpaqueRef:no"])
    equal(failure(session.xenapi.host.frobnicate), ["MESSAGE_METHOD_UNKNOWN", "host.frobnicate"])
    pool = session.xenapi.pool.get_all()[0]
    tricky = "<&>\"' é 😀 \\ ]]>"
    session.xenapi.pool.set_name_description(pool, tricky)
    equal(session.xenapi.pool.get_name_description(pool), tricky)
    # A session that is gone is renewed by the SDK itself.
    lost = session.handle
    equal(session.session.logout(lost)["Status"], "Success")
    equal(session.xenapi.pool.get_all(), [pool])
    assert session.handle != lost
    session.xenapi.session.logout()


def events_arrive():
    session, other = log_in(HOSTS["lab-1"]["http"]), log_in(HOSTS["lab-1"]["http"])
    batch = call_from(session, ["network", "VM"], "")
    equal({event["operation"] for event in batch["events"]}, {"add"})
    equal({event["class"] for event in batch["events"]}, {"network", "vm"})
    known = {event["ref"] for event in batch["events"] if event["class"] == "network"}
    equal(len(known), int(batch["valid_ref_counts"]["network"]))
    token, made = batch["token"], []

    def change():
        time.sleep(0.5)
        record = {"name_label": "made here", "name_description": "", "MTU": "1500", "other_config": {}, "tags": []}
        made.append(other.xenapi.network.create(record))

    changer = threading.Thread(target=change)
    changer.start()
    start = time.monotonic()
    batch = call_from(session, ["network", "VM"], token)
    changer.join()
    assert 0.3 < time.monotonic() - start < 20, "it waits until something happens"
    event = batch["events"][0]
    equal((event["operation"], event["class"], event["ref"]), ("add", "network", made[0]))
    equal(event["snapshot"]["name_label"], "made here")

    other.xenapi.network.set_name_label(made[0], "renamed")
    batch = call_from(session, ["network", "VM"], batch["token"])
    event = batch["events"][0]
    equal((event["operation"], event["snapshot"]["name_label"]), ("mod", "renamed"))
    other.xenapi.network.destroy(made[0])
    batch = call_from(session, ["network", "VM"], batch["token"])
    event = batch["events"][0]
    equal((event["operation"], event["ref"]), ("del", made[0]))
    assert "snapshot" not in event
    quiet = call_from(session, ["network"], batch["token"], 0.5)
    equal(quiet["events"], [])
    session.xenapi.session.logout()
    other.xenapi.session.logout()


def call_from(session, classes, token, timeout=30.0):
    # `from` is a word of Python's own.
    return getattr(session.xenapi.event, "from")(classes, token, timeout)


def ignite_joins_phantom():
    phantom, ignite = log_in(HOSTS["phantom"]["https"]), log_in(HOSTS["ignite"]["https"])
    master = HOSTS["phantom"]["address"]
    equal(len(phantom.xenapi.SR.get_all()), 6)

    # A task that fails says why.
    task = ignite.xenapi.Async.pool.join(master, USER, PASSWORD)
    wait_for("the first join ends", lambda: ignite.xenapi.task.get_status(task) != "pending")
    equal(ignite.xenapi.task.get_status(task), "failure")
    equal(ignite.xenapi.task.get_error_info(task), ["JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"])
    ignite.xenapi.task.destroy(task)
    equal(failure(ignite.xenapi.task.get_status, task), ["HANDLE_INVALID", "task", task])

    # What stands in the way: a VM that runs, a shared SR, and a VLAN.
    for vm in ignite.xenapi.VM.get_all_records_where(
        'field "power__state" = "Running" and field "is_control_domain" = "false"'
    ):
        ignite.xenapi.VM.hard_shutdown(vm)
    for sr, record in ignite.xenapi.SR.get_all_records().items():
        if record["shared"] and record["type"] == "nfs":
            for pbd in record["PBDs"]:
                ignite.xenapi.PBD.unplug(pbd)
            ignite.xenapi.SR.forget(sr)
    for vlan in ignite.xenapi.VLAN.get_all():
        ignite.xenapi.VLAN.destroy(vlan)

    task = ignite.xenapi.Async.pool.join(master, USER, PASSWORD)
    wait_for("the join ends", lambda: ignite.xenapi.task.get_status(task) != "pending")
    equal((ignite.xenapi.task.get_status(task), ignite.xenapi.task.get_error_info(task)), ("success", []))
    equal(ignite.xenapi.task.get_result(task), "<value></value>")

    def led_to_master():
        try:
            log_in(HOSTS["ignite"]["https"]).xenapi.session.logout()
        except XenAPI.Failure as error:
            return error.details == ["HOST_IS_SLAVE", master]
        except OSError:
            pass  # its xapi restarts
        return False

    wait_for("Ignite becomes a member", led_to_master)

    def both_live():
        hosts = phantom.xenapi.host.get_all_records().values()
        metrics = phantom.xenapi.host_metrics.get_all_records()
        return len(hosts) == 2 and all(host["enabled"] and metrics[host["metrics"]]["live"] for host in hosts)

    wait_for("Ignite is enabled", both_live)
    equal(len(phantom.xenapi.SR.get_all()), 9)
    phantom.xenapi.session.logout()


for check in [
    a_login_at_a_member_is_led_to_the_master,
    a_wrong_password_is_refused,
    every_class_can_be_read,
    failures_come_with_their_parameters,
    events_arrive,
    ignite_joins_phantom,
]:
    check()
    print("ok", check.__name__.replace("_", " "), flush=True)
