//! Which function answers which method: one line each.

use super::{
    clone, event, ha, host, message, migrate, network, pool, session, settings, storage, task, vm,
};
use crate::simulator::arguments::Args;
use crate::simulator::database::Value;
use crate::simulator::lifecycle::{eject, emergency as recovery, handover, join};
use crate::simulator::state::{Answer, Call, State};

/// A method that has a function of its own.
pub(super) struct Method {
    /// `class.message`.
    pub name: &'static str,
    serves: Serves,
    /// What it does, in a few words, if it is played.
    what: Option<&'static str>,
    /// Carries it out. The parameters are those of the datamodel, the session left out.
    pub run: fn(&mut State, &Call, &Args) -> Answer,
}

/// In what state a host serves a method (`datamodel.ml`, `emergency_calls`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serves {
    /// When it is up: not in emergency mode.
    Up,
    /// In emergency mode too, but not without the pool's database.
    InEmergencyWithDatabase,
    /// In emergency mode too, without any database.
    InEmergency,
}

/// Every method that has a function of its own, with what it does.
pub(in crate::simulator) fn methods() -> impl Iterator<Item = (&'static str, &'static str)> {
    METHODS.iter().filter_map(|method| Some((method.name, method.what?)))
}

/// The method of a name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    let at = METHODS.binary_search_by_key(&name, |method| method.name).ok()?;
    Some(&METHODS[at])
}

/// Whether a host serves a method in emergency mode; names count letter for letter.
pub(super) fn serves_in_emergency(name: &str) -> bool {
    find(name).is_some_and(|method| method.serves != Serves::Up)
}

/// Whether a method waits for the pool's database where that is away.
pub(super) fn needs_database(name: &str) -> bool {
    find(name).is_none_or(|method| method.serves != Serves::InEmergency)
}

/// What comes of a method that the datamodel knows and nothing plays.
pub(super) fn not_implemented(call: &Call) -> Answer {
    Answer::fault("NOT_IMPLEMENTED", [call.method.clone()])
}

type Run = fn(&mut State, &Call, &Args) -> Answer;

const fn up(name: &'static str, what: &'static str, run: Run) -> Method {
    Method { name, serves: Serves::Up, what: Some(what), run }
}

const fn emergency(name: &'static str, what: &'static str, run: Run) -> Method {
    Method { name, serves: Serves::InEmergency, what: Some(what), run }
}

const fn emergency_with_database(name: &'static str, what: &'static str, run: Run) -> Method {
    Method { name, serves: Serves::InEmergencyWithDatabase, what: Some(what), run }
}

/// One that is known to be served in emergency mode, and is not played.
const fn unplayed(name: &'static str) -> Method {
    Method {
        name,
        serves: Serves::InEmergency,
        what: None,
        run: |_, call, _| not_implemented(call),
    }
}

/// In the order of bytes. `s` is the world's state, `c` the call, `a` its arguments.
static METHODS: &[Method] = &[
    up("Bond.create", "bonds PIFs of a host", |s, c, a| network::create_bond(s, c, a).into()),
    up("Bond.destroy", "takes a bond apart", |s, c, a| {
        network::destroy_bond(s, c, a.text(0)).into()
    }),
    up("Cluster_host.disable", "takes a host out of its cluster", |s, c, a| {
        settings::set_clustering(s, c, a.text(0), false).into()
    }),
    up("Cluster_host.enable", "takes a host into its cluster", |s, c, a| {
        settings::set_clustering(s, c, a.text(0), true).into()
    }),
    up("PBD.create", "connects a host with an SR, detached", |s, c, a| {
        storage::create_pbd(s, c, &a.value(0)).into()
    }),
    up("PBD.destroy", "removes a detached PBD", |s, c, a| {
        storage::destroy_pbd(s, c, a.text(0)).into()
    }),
    up("PBD.plug", "attaches an SR to a host", |s, c, a| {
        storage::on_pbd_host(s, c, a.text(0), storage::plug)
    }),
    up("PBD.unplug", "detaches an SR from a host", |s, c, a| {
        storage::on_pbd_host(s, c, a.text(0), storage::unplug)
    }),
    up("PIF.forget", "removes the record of a NIC", |s, c, a| {
        network::forget_pif(s, c, a.text(0)).into()
    }),
    up("PIF.plug", "brings a NIC up", |s, c, a| network::plug(s, c, a.text(0)).into()),
    up("PIF.unplug", "takes a NIC down", |s, c, a| network::unplug(s, c, a.text(0)).into()),
    up("SDN_controller.forget", "removes the SDN controller", |s, c, a| {
        settings::forget_controller(s, c, a.text(0)).into()
    }),
    up("SDN_controller.introduce", "adds the one SDN controller", |s, c, a| {
        settings::introduce_controller(s, c, a).into()
    }),
    up("SR.create", "makes an SR and attaches it", |s, c, a| storage::create(s, c, a).into()),
    up("SR.destroy", "removes an SR and its data", |s, c, a| {
        storage::destroy(s, c, a.text(0)).into()
    }),
    up("SR.forget", "removes an SR, its data stays", |s, c, a| {
        storage::forget(s, c, a.text(0)).into()
    }),
    up("SR.introduce", "adds an SR that exists", |s, c, a| storage::introduce(s, c, a).into()),
    up("SR.scan", "reads the sizes of an SR", |s, c, a| storage::scan(s, c, a.text(0)).into()),
    up("SR.set_shared", "says whether an SR is shared", |s, c, a| {
        storage::set_shared(s, c, a.text(0), a.flag(1)).into()
    }),
    up("SR.update", "asks an attached SR for nothing", |s, c, a| {
        storage::assert_attached(s, c, a.text(0)).into()
    }),
    up("VDI.create", "makes a disk", |s, c, a| storage::create_vdi(s, c, &a.value(0)).into()),
    up("VDI.db_forget", "removes the record of a disk", |s, c, a| {
        storage::forget_vdi(s, c, a.text(0)).into()
    }),
    up("VDI.destroy", "removes a disk and its data", |s, c, a| {
        storage::destroy_vdi(s, c, a.text(0)).into()
    }),
    up("VDI.forget", "removes the record of a disk", |s, c, a| {
        storage::forget_vdi(s, c, a.text(0)).into()
    }),
    up("VLAN.create", "makes a VLAN on a PIF", |s, c, a| {
        network::create_vlan(s, c, a.text(0), a.int(1), a.text(2)).map(Value::Text).into()
    }),
    up("VLAN.destroy", "removes a VLAN", |s, c, a| network::destroy_vlan(s, c, a.text(0)).into()),
    up("VM.clean_shutdown", "has the VM shut itself down", |s, c, a| {
        vm::shutdown(s, c, a.text(0).into(), "clean_shutdown")
    }),
    up("VM.clone", "copies a halted VM or a template", |s, c, a| {
        clone::clone(s, c, a.text(0), a.text(1)).map(Value::Text).into()
    }),
    up("VM.destroy", "removes a VM, its disks stay", |s, c, a| vm::destroy(s, c, a.text(0))),
    up("VM.get_possible_hosts", "lists hosts that could run a VM", |s, c, a| {
        vm::possible_hosts(s, c, a.text(0)).into()
    }),
    up("VM.hard_shutdown", "stops a VM", |s, c, a| {
        vm::shutdown(s, c, a.text(0).into(), "hard_shutdown")
    }),
    up("VM.maximise_memory", "says how much memory a VM may have", |s, c, a| {
        clone::maximise_memory(s, c, a.text(0), a.value(1)).into()
    }),
    up("VM.migrate_send", "moves a VM and its disks to another pool", migrate::send),
    up("VM.pause", "holds a VM", |s, c, a| vm::pause(s, c, a.text(0).into(), "pause", "Paused")),
    up("VM.pool_migrate", "moves a VM to another host", |s, c, a| {
        vm::pool_migrate(s, c, a.text(0).into(), a.text(1).into())
    }),
    up("VM.power_state_reset", "takes a VM for halted", |s, c, a| {
        vm::power_state_reset(s, c, a.text(0)).into()
    }),
    up("VM.resume", "goes on with a suspended VM", |s, c, a| vm::resume(s, c, a.text(0).into())),
    up("VM.set_is_a_template", "makes a VM a template, or a template a VM", |s, c, a| {
        vm::set_is_a_template(s, c, a.text(0), a.flag(1)).into()
    }),
    up("VM.shutdown", "shuts a VM down, cleanly if it can", |s, c, a| {
        vm::shutdown_somehow(s, c, a.text(0).into())
    }),
    up("VM.start", "starts a VM on the best host", |s, c, a| {
        vm::start(s, c, a.text(0).into(), None, a.flag(1))
    }),
    up("VM.start_on", "starts a VM on a host", |s, c, a| {
        vm::start(s, c, a.text(0).into(), Some(a.text(1)), a.flag(2))
    }),
    up("VM.suspend", "writes a VM to a disk and stops it", |s, c, a| {
        vm::suspend(s, c, a.text(0).into())
    }),
    up("VM.unpause", "goes on with a VM that was held", |s, c, a| {
        vm::pause(s, c, a.text(0).into(), "unpause", "Running")
    }),
    up("event.from", "waits for events after a token", |s, _, a| event::from(s, a)),
    up("event.get_current_id", "says 0", |_, _, _| Answer::Now(Ok(Value::Int(0)))),
    up("event.inject", "marks an object as changed", |s, c, a| event::inject(s, c, a).into()),
    up("event.next", "waits for events of what is registered", |s, c, _| event::next(s, c)),
    up("event.register", "subscribes to classes", |s, c, a| event::register(s, c, a).into()),
    up("event.unregister", "ends subscriptions", |s, c, a| event::unregister(s, c, a).into()),
    emergency("host.abort_new_master", "withdraws a proposal", |s, c, a| {
        handover::abort(s, c.host, a.text(0)).into()
    }),
    up("host.apply_edition", "changes the edition", |s, c, a| {
        settings::apply_edition(s, c, a.text(0), a.text(1))
    }),
    up("host.assert_can_evacuate", "says what keeps VMs on a host", |s, c, a| {
        host::assert_can_evacuate(s, c, a.text(0)).into()
    }),
    up("host.call_plugin", "finds no plugin", |_, _, a| {
        Answer::fault("XENAPI_MISSING_PLUGIN", [a.text(1)])
    }),
    emergency("host.commit_new_master", "takes a new role at the next start", |s, c, a| {
        handover::commit(s, c.host, a.text(0)).into()
    }),
    up("host.compute_free_memory", "says how much memory is left", |s, c, a| {
        host::compute_free_memory(s, c, a.text(0)).into()
    }),
    up("host.declare_dead", "gives up a dead host and its VMs", |s, c, a| {
        host::declare_dead(s, c, a.text(0)).into()
    }),
    up("host.destroy", "forgets a dead host", |s, c, a| host::destroy(s, c, a.text(0)).into()),
    up("host.disable", "lets a host take no new VMs", host::disable),
    up("host.disable_external_auth", "ends external authentication", |s, c, a| {
        settings::disable_external_auth(s, c, a.text(0))
    }),
    unplayed("host.emergency_clear_mandatory_guidance"),
    unplayed("host.emergency_disable_tls_verification"),
    emergency("host.emergency_ha_disable", "ends HA on this host alone", |s, c, a| {
        ha::disarm(s, c, a.flag(0))
    }),
    unplayed("host.emergency_reenable_tls_verification"),
    unplayed("host.emergency_reset_server_certificate"),
    up("host.enable", "lets a host take VMs", |s, c, a| host::enable(s, c, a.text(0))),
    up("host.evacuate", "moves all VMs of a host away", host::evacuate),
    up("host.get_management_interface", "finds the management PIF", |s, c, a| {
        host::management_interface(s, c, a.text(0)).into()
    }),
    up("host.get_server_localtime", "says what time it is, without a zone", |s, c, a| {
        host::time(s, c, a.text(0))
    }),
    up("host.get_servertime", "says what time it is", |s, c, a| host::time(s, c, a.text(0))),
    unplayed("host.get_system_status_capabilities"),
    up("host.get_vms_which_prevent_evacuation", "lists VMs that cannot move", |s, c, a| {
        host::obstacles(s, c, a.text(0)).into()
    }),
    emergency("host.ha_xapi_healthcheck", "says whether xapi is well", |s, c, _| {
        host::health(s, c, true.into())
    }),
    up("host.has_extension", "knows no extension", |_, _, _| Answer::Now(Ok(Value::Bool(false)))),
    emergency("host.is_in_emergency_mode", "says whether it is", |s, c, _| {
        host::is_in_emergency(s, c)
    }),
    emergency("host.local_assert_healthy", "raises the error of emergency mode", |s, c, _| {
        host::health(s, c, Value::void())
    }),
    unplayed("host.local_management_reconfigure"),
    unplayed("host.management_disable"),
    up("host.migrate_receive", "says where a VM may be sent", |s, c, a| {
        migrate::receive(s, c, a.text(0), a.text(1)).into()
    }),
    up("host.power_on", "gives a host power", |s, c, a| host::power_on(s, c, a.text(0))),
    emergency("host.propose_new_master", "agrees to a new master", |s, c, a| {
        handover::propose(s, c.host, a.text(0)).into()
    }),
    up("host.reboot", "reboots a disabled host", |s, c, a| host::power_down(s, c, a.text(0))),
    up("host.restart_agent", "restarts xapi", |s, c, a| host::restart_agent(s, c, a.text(0))),
    up("host.set_power_on_mode", "says how a host is given power", |s, c, a| {
        host::set_power_on_mode(s, c, a).into()
    }),
    up("host.shutdown", "shuts a disabled host down", |s, c, a| host::power_down(s, c, a.text(0))),
    unplayed("host.shutdown_agent"),
    unplayed("host.signal_networking_change"),
    unplayed("host.update_firewalld_service_status"),
    up("message.create", "tells the administrator something", |s, c, a| {
        message::create(s, c, a).into()
    }),
    up("message.destroy", "removes a message", |s, c, a| message::destroy(s, c, a.text(0))),
    up("message.get", "lists the messages about an object", |s, c, a| {
        message::about(s, c, a.text(0), a.text(1), a.text(2)).into()
    }),
    up("message.get_since", "lists the messages since a date", |s, c, a| {
        message::newer(s, c, a.text(0)).into()
    }),
    up("network.create", "makes a network", |s, c, a| network::create(s, c, &a.value(0)).into()),
    up("network.destroy", "removes a network", |s, c, a| network::destroy(s, c, a.text(0)).into()),
    up("network_sriov.create", "makes virtual functions of a NIC", |s, c, a| {
        network::create_sriov(s, c, a).into()
    }),
    up("network_sriov.destroy", "removes them", |s, c, a| {
        network::destroy_logical(s, c, "network_sriov", a.text(0), "logical_PIF").into()
    }),
    up("pool.create_VLAN", "makes a VLAN on every host, by device", |s, c, a| {
        network::create_vlan_by_device(s, c, a).into()
    }),
    up("pool.create_VLAN_from_PIF", "makes a VLAN on every host", |s, c, a| {
        network::create_pool_vlan(s, c, a.text(0), a.text(1), a.int(2)).into()
    }),
    up("pool.designate_new_master", "hands the pool over", |_, _, a| {
        handover::designate(a.text(0))
    }),
    up("pool.disable_external_auth", "ends external authentication", |s, c, _| {
        settings::disable_all_external_auth(s, c).into()
    }),
    up("pool.disable_ha", "ends HA", |s, c, _| ha::disable(s, c)),
    up("pool.eject", "makes a member a host of its own", |_, _, a| eject::eject(a.text(0))),
    emergency("pool.emergency_reset_master", "follows another master", |s, c, a| {
        recovery::reset_master(s, c.host, a.text(0)).into()
    }),
    emergency("pool.emergency_transition_to_master", "becomes master", |s, c, _| {
        recovery::transition(s, c.host).into()
    }),
    up("pool.enable_ha", "begins HA", ha::enable),
    up("pool.enable_tls_verification", "has certificates verified", |s, c, _| {
        pool::enable_tls_verification(s, c).into()
    }),
    up(
        "pool.ha_compute_hypothetical_max_host_failures_to_tolerate",
        "asks the planner",
        |s, c, a| ha::hypothetical_maximum(s, c, &a.value(0)).into(),
    ),
    up("pool.ha_compute_max_host_failures_to_tolerate", "asks the planner", |s, c, _| {
        ha::maximum(s, c).into()
    }),
    up("pool.ha_compute_vm_failover_plan", "asks the planner", |s, c, a| {
        ha::failover_plan(s, c, &a.texts(0), &a.texts(1)).into()
    }),
    up("pool.ha_failover_plan_exists", "asks the planner", |s, c, a| {
        ha::plan_exists(s, c, a.int(0)).into()
    }),
    up("pool.has_extension", "knows no extension", |_, _, _| Answer::Now(Ok(Value::Bool(false)))),
    up("pool.hello", "takes a starting member for alive", |s, c, a| pool::hello(s, c, a).into()),
    up("pool.initial_auth", "tells the pool secret", |s, c, _| pool::secret(s, c)),
    emergency_with_database("pool.is_slave", "says whether it is a member", |s, c, _| {
        pool::is_slave(s, c).into()
    }),
    up("pool.join", "becomes a member, if nothing objects", |_, c, a| join::join(c, a)),
    up("pool.join_force", "becomes a member whatever the CPUs are", |_, c, a| join::join(c, a)),
    up("pool.recover_slaves", "has the other hosts follow this one", |s, c, _| {
        recovery::recover_slaves(s, c.host)
    }),
    up("pool.set_ha_host_failures_to_tolerate", "plans for so many failures", |s, c, a| {
        ha::set_failures_to_tolerate(s, c, a.int(1)).into()
    }),
    up("pool.sync_database", "sends every member the database", |s, c, _| {
        pool::sync_database(s, c).into()
    }),
    up("pool.uninstall_ca_certificate", "removes a CA certificate", |s, c, a| {
        settings::uninstall_ca(s, c, a.text(0)).into()
    }),
    up("pool.uninstall_trusted_certificate", "removes a trusted certificate", |s, c, a| {
        settings::uninstall_trusted(s, c, a.text(1)).into()
    }),
    up("session.change_password", "changes the password of root", |s, c, a| {
        session::change_password(s, c, a.text(0), a.text(1)).into()
    }),
    up("session.get_all_subject_identifiers", "lists no external users", |_, _, _| {
        Answer::Now(Ok(Value::Set(Vec::new())))
    }),
    emergency("session.local_logout", "ends a session of this host", |s, c, _| {
        session::log_out_locally(s, c)
    }),
    up("session.login_with_password", "opens a session of the pool", |s, c, a| {
        session::log_in(s, c, a.text(0), a.text(1), a.text(3))
    }),
    up("session.logout", "ends a session of the pool", |s, c, _| session::log_out(s, c)),
    up("session.logout_subject_identifier", "ends sessions of no external user", |_, _, _| {
        Answer::done()
    }),
    emergency(
        "session.slave_local_login",
        "opens a session of this host by the pool secret",
        |s, c, a| session::log_in_by_secret(s, c, a.text(0)),
    ),
    emergency(
        "session.slave_local_login_with_password",
        "opens a session of this host",
        |s, c, a| session::log_in_locally(s, c, a.text(0), a.text(1)),
    ),
    up("session.slave_login", "opens a session of the pool for a member", |s, c, a| {
        session::log_in_host(s, c, a.text(0), a.text(1))
    }),
    up("task.cancel", "asks a task to end", |s, c, a| task::cancel(s, c, a.text(0)).into()),
    up("task.create", "makes a task", |s, c, a| {
        task::create(s, c.host, a.text(0), a.text(1)).map(Value::Text).into()
    }),
    up("task.destroy", "forgets a task", |s, c, a| task::destroy(s, c, a.text(0)).into()),
    up("tunnel.create", "makes a tunnel", |s, c, a| network::create_tunnel(s, c, a).into()),
    up("tunnel.destroy", "removes a tunnel", |s, c, a| {
        network::destroy_logical(s, c, "tunnel", a.text(0), "access_PIF").into()
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::database::Schema;
    use crate::simulator::release::Release;

    #[test]
    fn the_table_is_in_order_and_names_what_the_datamodel_knows() {
        assert!(METHODS.is_sorted_by(|one, next| one.name < next.name));
        let schema = Schema::of(Release::Newest);
        for Method { name, .. } in METHODS {
            let (class, message) = name.split_once('.').unwrap();
            assert!(
                schema.class(class).is_some_and(|class| class.message(message).is_some()),
                "{name}"
            );
        }
    }

    #[test]
    fn the_table_says_who_serves_what() {
        assert!(serves_in_emergency("pool.is_slave") && needs_database("pool.is_slave"));
        assert!(serves_in_emergency("session.local_logout"));
        assert!(!needs_database("session.local_logout"));
        assert!(!serves_in_emergency("Async.host.shutdown_agent"));
        assert!(!serves_in_emergency("pool.join") && needs_database("pool.join"));
        assert!(!serves_in_emergency("host.get_record") && needs_database("host.get_record"));
    }
}
