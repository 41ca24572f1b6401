//! The pool itself, its clusters and its tasks.

use std::collections::BTreeMap;

use super::record::record;
use super::{Host, Pif, PoolOperation, Ref, Sr, TaskStatus, Timestamp, Uuid, Vdi};

record! {
    /// A resource pool; a stand-alone host is a pool of one.
    Pool, "pool", pool {
        uuid: Uuid,
        /// Often empty: a stand-alone host's pool has no name.
        name_label: String,
        name_description: String,
        /// May be stale for seconds after a change of master.
        master: Ref<Host>,
        /// May be null or dangling.
        default_SR: Ref<Sr>,
        suspend_image_SR: Ref<Sr>,
        crash_dump_SR: Ref<Sr>,
        other_config: BTreeMap<String, String>,
        ha_enabled: bool,
        /// `timeout` is the base timeout of HA, in seconds.
        ha_configuration: BTreeMap<String, String>,
        /// Refs of the VDIs that hold the state file.
        ha_statefiles: Vec<Ref<Vdi>>,
        ha_host_failures_to_tolerate: i64,
        ha_plan_exists_for: i64,
        ha_allow_overcommit: bool,
        ha_overcommitted: bool,
        ha_cluster_stack: String,
        ha_reboot_vm_on_internal_shutdown: Option<bool> = true,
        tags: Vec<String>,
        gui_config: BTreeMap<String, String>,
        wlb_url: String,
        wlb_enabled: bool,
        redo_log_enabled: bool,
        redo_log_vdi: Ref<Vdi>,
        vswitch_controller: String,
        /// Licence features: `restrict_x` = `"false"` permits x, a missing key forbids it.
        restrictions: BTreeMap<String, String>,
        allowed_operations: Vec<PoolOperation>,
        /// Task ref to operation.
        current_operations: BTreeMap<String, PoolOperation>,
        /// The features that all hosts share, with the pool's `vendor`.
        cpu_info: BTreeMap<String, String>,
        igmp_snooping_enabled: bool,
        uefi_certificates: String,
        custom_uefi_certificates: Option<String>,
        /// Whether a rotation of the pool secret waits for hosts to come back.
        is_psr_pending: Option<bool>,
        tls_verification_enabled: Option<bool>,
        client_certificate_auth_enabled: Option<bool>,
        client_certificate_auth_name: Option<String>,
        repository_proxy_url: Option<String>,
        migration_compression: Option<bool>,
        coordinator_bias: Option<bool> = true,
        last_update_sync: Option<Timestamp>,
        recommendations: Option<BTreeMap<String, String>>,
        license_server: Option<BTreeMap<String, String>>,
    }
}

record! {
    /// A cluster of hosts under Corosync, as GFS2 SRs need it.
    Cluster, "Cluster", cluster {
        uuid: Uuid,
        cluster_hosts: Vec<Ref<ClusterHost>>,
        cluster_stack: String = "corosync",
        is_quorate: Option<bool>,
        quorum: Option<i64>,
        live_hosts: Option<i64>,
        /// Whether a host that joins the pool joins the cluster too.
        pool_auto_join: bool = true,
        other_config: BTreeMap<String, String>,
    }
}

record! {
    /// A host's membership in a cluster.
    ClusterHost, "Cluster_host", cluster_host {
        uuid: Uuid,
        cluster: Ref<Cluster>,
        host: Ref<Host>,
        enabled: bool,
        PIF: Ref<Pif>,
        joined: bool = true,
        live: Option<bool>,
        other_config: BTreeMap<String, String>,
    }
}

record! {
    /// A call that runs, or has run, asynchronously.
    Task, "task", task {
        uuid: Uuid,
        /// The whole method, such as `Async.pool.join`.
        name_label: String,
        name_description: String,
        created: Timestamp,
        /// The epoch while the task is pending.
        finished: Timestamp,
        status: TaskStatus,
        resident_on: Ref<Host>,
        /// 0 to 1.
        progress: f64,
        /// A type tag, `<none/>` for void.
        r#type as "type": String,
        /// XML-RPC text such as `<value></value>`; empty while the task is pending.
        result: String,
        /// The fault's code and parameters; empty unless the task failed.
        error_info: Vec<String>,
        other_config: BTreeMap<String, String>,
        subtask_of: Ref<Task>,
        subtasks: Vec<Ref<Task>>,
    }
}

impl Pool {
    /// How many hosts a pool may have whose size is restricted (`Xapi_globs.restricted_pool_size`).
    pub(crate) const RESTRICTED_SIZE: usize = 3;

    /// Whether a licence restricts something, such as `restrict_pooling`.
    ///
    /// Only the very text "false" permits; a missing key forbids (`Features.of_assoc_list`).
    pub(crate) fn restricts(&self, key: &str) -> bool {
        self.restrictions.get(key).is_none_or(|value| value != "false")
    }
}
