/* Every function of the header once, for the sanitizers; threads; and wrong use with a defined end. */
#include "xcp_pool.h"

#include <pthread.h>

#include "check.h"

static const char POOL[] =
    "{\"pool\": {\"OpaqueRef:p\": {\"master\": \"OpaqueRef:h\"}}, \"host\": {\"OpaqueRef:h\": {}},"
    " \"SR\": {\"OpaqueRef:s\": {}}}";
static const char COMPLETE[] = "{\"complete_snapshots\": true}";

static void free_text(char *text) {
    CHECK(text != NULL);
    xcp_string_free(text);
}

static void pure_functions(void) {
    char *out = NULL;
    ENDS(XCP_OK, xcp_preflight_json(POOL, POOL, COMPLETE, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_consequences_json(POOL, POOL, COMPLETE, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_partition_json("{\"hosts\": [\"a\", \"b\"], \"crash\": [\"b\"]}", &out, &error));
    CHECK(strstr(out, "\"survivors\":[\"a\"]") != NULL);
    free_text(out);
    ENDS(XCP_OK, xcp_failover_json("{\"calls\": [{\"method\": \"oracle.compute_max\"}], \"side\": "
                                   "{\"objects\": {\"pool\": {\"OpaqueRef:p\": {}}}}}",
                                   &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_election_json("{\"mode\": \"planned\", \"complete_snapshots\": true, \"snapshot\": "
                                   "{\"pool\": {\"OpaqueRef:p\": {\"master\": \"OpaqueRef:h\"}}, "
                                   "\"host\": {\"OpaqueRef:h\": {}}}}",
                                   &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_rules_json(&out, &error));
    CHECK(strstr(out, "\"halted-vms\"") != NULL);
    free_text(out);
    ENDS(XCP_OK, xcp_master_lock_json("{\"me\": 0, \"n\": 1, \"online\": 1, \"events\": [\"propose\", \"update\", "
                                      "\"update\"]}",
                                      &out, &error));
    CHECK(strstr(out, "\"holder\":0") != NULL);
    free_text(out);
    ENDS(XCP_OK, xcp_packing_json("{\"free\": [4, 4], \"size\": [3], \"placement\": [[0, 0]], \"failures\": 1}", &out,
                                  &error));
    CHECK(strstr(out, "\"possible\":true") != NULL);
    free_text(out);
    ENDS(XCP_E_NULL, xcp_partition_json(NULL, &out, &error));
    ENDS(XCP_E_NULL, xcp_partition_json("{}", NULL, &error));
    ENDS(XCP_E_UTF8, xcp_partition_json("\xff", &out, &error));
    ENDS(XCP_E_INVALID_INPUT, xcp_partition_json("{", &out, &error));
    CHECK(xcp_partition_json("{", &out, NULL) == XCP_E_INVALID_INPUT);
}

static void errors(void) {
    xcp_error *error = NULL;
    char *out = NULL;
    CHECK(xcp_partition_json("{", &out, &error) == XCP_E_INVALID_INPUT);
    CHECK(xcp_error_fault_code(error) == NULL);
    CHECK(strcmp(xcp_error_fault_params_json(error), "[]") == 0);
    CHECK(strcmp(xcp_error_evidence_json(error), "[]") == 0);
    CHECK(strlen(xcp_error_message(error)) > 0);
    xcp_error_free(error);
    xcp_error_free(error); /* recognised */
    CHECK(xcp_error_code(error) == XCP_E_MISUSE);
    CHECK(xcp_abi_version() == XCP_ABI_VERSION);
    CHECK(strlen(xcp_version()) > 0);
    CHECK(strcmp(xcp_status_name(4294967295u), "unknown status") == 0);
}

static void snapshots_and_reports(void) {
    xcp_snapshot *pool = NULL, *after = NULL;
    xcp_report *report = NULL;
    xcp_plan *plan = NULL, *again = NULL;
    char *out = NULL, *saved = NULL;
    size_t count = 0;
    ENDS(XCP_OK, xcp_snapshot_from_json(POOL, true, &pool, &error));
    ENDS(XCP_OK, xcp_snapshot_to_json(pool, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_snapshot_count(pool, "SR", &count, &error));
    CHECK(count == 1);
    ENDS(XCP_OK, xcp_snapshot_problems_json(pool, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_preflight(pool, pool, NULL, &report, &error));
    CHECK(xcp_report_verdict(report) == XCP_VERDICT_BLOCKED);
    CHECK(xcp_report_finding_count(report) >= xcp_report_blocking_count(report));
    ENDS(XCP_OK, xcp_report_json(report, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_report_text(report, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_report_markdown(report, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_report_consequences_json(report, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_report_consequences_markdown(report, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_report_pool_after(report, &after, &error));
    xcp_snapshot_free(after);
    ENDS(XCP_OK, xcp_snapshot_overview_json(pool, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_election(pool, "planned", NULL, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_failover(pool, "{\"questions\": [{\"ask\": \"assess\"}]}", &out, &error));
    CHECK(strstr(out, "\"maximum\"") != NULL);
    free_text(out);
    ENDS(XCP_E_INVALID_INPUT, xcp_failover(pool, "{}", &out, &error));
    ENDS(XCP_OK, xcp_plan_hand_over_with(pool, NULL, "OpaqueRef:h", &plan, &error));
    xcp_plan_free(plan);
    ENDS(XCP_OK, xcp_plan_join(report, NULL, &plan, &error));
    CHECK(!xcp_plan_is_complete(plan) && xcp_plan_step_count(plan) > 0);
    ENDS(XCP_OK, xcp_plan_steps_json(plan, pool, NULL, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_plan_text(plan, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_plan_losses_json(plan, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_plan_losses_digest(plan, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_plan_digest(plan, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_plan_json(plan, &saved, &error));
    ENDS(XCP_OK, xcp_plan_from_json(saved, &again, &error));
    free_text(saved);
    xcp_plan_free(again);
    xcp_plan_free(plan);
    xcp_report_free(report);
    xcp_snapshot_free(pool);
    xcp_snapshot_free(pool); /* recognised */
    ENDS(XCP_E_MISUSE, xcp_snapshot_count(pool, "SR", &count, &error));
}

static void hears(void *lines, uint32_t level, const char *target, const char *message) {
    CHECK(level == XCP_LOG_WARN || level == XCP_LOG_INFO);
    CHECK(strncmp(target, "xcp_pool", 8) == 0 && strchr(message, '\n') == NULL);
    ++*(int *)lines;
}

static void forgotten(void *lines) { *(int *)lines = -*(int *)lines; }

static void *eight_threads(void *shared) {
    const xcp_client *client = (const xcp_client *)shared;
    for (int round = 0; round < 10; round++) {
        char *out = NULL;
        ENDS(XCP_OK, xcp_client_call_json(client, "host.get_all", "[]", NULL, &out, &error));
        free_text(out);
    }
    return NULL;
}

static void told(void *calls, double done) {
    CHECK(done >= 0 && done <= 1);
    ++*(int *)calls;
}

static void progress(void *calls, const char *json) {
    CHECK(json[0] == '{');
    ++*(int *)calls;
}

static void the_simulator(void) {
    xcp_simulator *world = NULL, *other = NULL;
    xcp_transport *way = NULL;
    xcp_client *pool = NULL, *host = NULL;
    xcp_watch *watch = NULL;
    xcp_cancel *cancel = NULL;
    xcp_snapshot *a = NULL, *b = NULL;
    xcp_report *report = NULL;
    xcp_plan *plan = NULL;
    char *out = NULL, *digest = NULL;
    size_t count = 0;
    int calls = 0;
    ENDS(XCP_OK, xcp_simulator_new("{\"pools\": [{\"hosts\": [{\"name\": \"a\", \"address\": \"1.1.1.1\"}]}]}",
                                   &other, &error));
    xcp_simulator_free(other);
    ENDS(XCP_OK, xcp_simulator_story(7, &world, &error));
    ENDS(XCP_OK, xcp_transport_simulator(world, &way, &error));
    ENDS(XCP_E_FAULT, xcp_client_connect(way, "phantom", "root", "no", NULL, NULL, &pool, &error));
    ENDS(XCP_OK, xcp_client_connect(way, "phantom", "root", "xcp-test", "{}", NULL, &pool, &error));
    ENDS(XCP_OK, xcp_client_connect(way, "ignite", "root", "xcp-test", NULL, NULL, &host, &error));
    ENDS(XCP_OK, xcp_client_endpoint(pool, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_client_pool_uuid(pool, NULL, &out, &error));
    free_text(out);
    xcp_client_cancel(pool);

    pthread_t threads[8];
    for (int n = 0; n < 8; n++) CHECK(pthread_create(&threads[n], NULL, eight_threads, pool) == 0);
    for (int n = 0; n < 8; n++) CHECK(pthread_join(threads[n], NULL) == 0);

    ENDS(XCP_OK, xcp_join_evidence_json(pool, host, NULL, &out, &error));
    CHECK(strstr(out, "\"master_address\":\"10.0.0.1\"") != NULL && strstr(out, "\"master_time\":\"2") != NULL);
    free_text(out);
    ENDS(XCP_OK, xcp_preflight_live(pool, host, "{\"force\": true}", NULL, &report, &error));
    ENDS(XCP_OK, xcp_report_text(report, &out, &error));
    CHECK(strstr(out, "running-vms") != NULL && strstr(out, "not known") == NULL);
    free_text(out);
    xcp_report_free(report);

    ENDS(XCP_OK, xcp_cancel_new(&cancel, &error));
    xcp_cancel_cancel(cancel);
    ENDS(XCP_E_CANCELLED, xcp_client_call_json(pool, "host.get_all", NULL, cancel, &out, &error));
    xcp_cancel_free(cancel);

    ENDS(XCP_OK, xcp_client_watch(pool, "overview", NULL, &watch, &error));
    ENDS(XCP_OK, xcp_simulator_trouble(world, "{\"trouble\": {\"delay\": 0.1}}", &error));
    ENDS(XCP_OK, xcp_client_call_json(host, "VM.get_by_name_label", "[\"monitor\"]", NULL, &out, &error));
    ENDS(XCP_OK, xcp_client_task_json(host, "VM.clean_shutdown", out, told, &calls, NULL, &digest, &error));
    free_text(digest);
    free_text(out);
    CHECK(calls > 0);
    ENDS(XCP_OK, xcp_simulator_advance(world, 60, &error));
    CHECK(xcp_simulator_now(world) >= 60);

    ENDS(XCP_OK, xcp_client_snapshot(pool, "preflight", true, NULL, &a, &error));
    ENDS(XCP_OK, xcp_client_snapshot(host, "preflight", true, NULL, &b, &error));
    ENDS(XCP_OK, xcp_preflight(a, b, NULL, &report, &error));
    ENDS(XCP_OK, xcp_plan_join(report, NULL, &plan, &error));
    ENDS(XCP_OK, xcp_plan_losses_digest(plan, &digest, &error));
    calls = 0;
    ENDS(XCP_OK, xcp_join(pool, host, plan, digest, NULL, progress, &calls, NULL, &out, &error));
    CHECK(calls > 0);
    free_text(out);
    free_text(digest);
    ENDS(XCP_OK, xcp_simulator_count(world, "phantom", "SR", &count, &error));
    CHECK(count == 9);

    ENDS(XCP_OK, xcp_watch_next(watch, NULL, &out, &error));
    free_text(out);
    xcp_snapshot_free(a);
    ENDS(XCP_OK, xcp_watch_snapshot(watch, &a, &error));
    xcp_watch_cancel(watch);
    ENDS(XCP_E_CANCELLED, xcp_watch_next(watch, NULL, &out, &error));
    xcp_watch_free(watch);

    ENDS(XCP_OK, xcp_simulator_host_json(world, "ignite", &out, &error));
    CHECK(strstr(out, "\"role\":\"slave\"") != NULL);
    free_text(out);
    ENDS(XCP_OK, xcp_simulator_database_json(world, "phantom", &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_simulator_cut(world, NULL, "ignite", &error));
    ENDS(XCP_OK, xcp_simulator_heal(world, NULL, "ignite", &error));
    ENDS(XCP_OK, xcp_simulator_power_off(world, "ignite", &error));
    ENDS(XCP_OK, xcp_simulator_power_on(world, "ignite", &error));
    ENDS(XCP_OK, xcp_simulator_restart_toolstack(world, "phantom", &error));
    xcp_plan_free(plan);
    xcp_report_free(report);
    xcp_snapshot_free(b);
    xcp_snapshot_free(a);
    xcp_client_free(host);
    xcp_client_free(pool);
    xcp_transport_free(way);
    xcp_simulator_free(world);
}

static void worlds_from_above(void) {
    xcp_simulator *world = NULL;
    xcp_front *front = NULL;
    char *out = NULL;
    bool done = true;
    ENDS(XCP_OK, xcp_simulator_new("{\"seed\": 2, \"story\": {}, \"timings\": {\"boot\": 5}}", &world, &error));
    ENDS(XCP_OK, xcp_simulator_act(world, "[{\"act\": \"power-off\", \"host\": \"ignite\"}, {\"act\": \"power-on\","
                                          "\"host\": \"ignite\", \"after\": 3}]",
                                   &error));
    ENDS(XCP_E_INVALID_INPUT, xcp_simulator_act(world, "{\"act\": \"power-off\", \"host\": \"nobody\"}", &error));
    ENDS(XCP_OK, xcp_simulator_step(world, 10, &done, &error));
    CHECK(done);
    ENDS(XCP_E_INVALID_INPUT, xcp_simulator_step(world, -1, &done, &error));
    ENDS(XCP_OK, xcp_simulator_state_json(world, &out, &error));
    CHECK(strstr(out, "\"masters\":[\"phantom\"]") != NULL);
    free_text(out);
    ENDS(XCP_OK, xcp_front_start(world, "{\"https\": 0}", &front, &error));
    ENDS(XCP_OK, xcp_front_hosts_json(front, &out, &error));
    CHECK(strstr(out, "https://127.0.0.1:") != NULL);
    free_text(out);
    CHECK(xcp_front_served(front) == 0 && xcp_front_connections(front) == 0);
    xcp_simulator_free(world);
    xcp_front_free(front);
    xcp_front_free(front); /* recognised */
}

static void single_hosts_and_tasks(void) {
    xcp_simulator *world = NULL;
    xcp_transport *way = NULL;
    xcp_client *pool = NULL, *other = NULL, *view = NULL;
    xcp_local_session *local = NULL, *beside = NULL;
    xcp_snapshot *snapshot = NULL;
    xcp_watch *watch = NULL;
    xcp_task *task = NULL;
    char *out = NULL;
    size_t count = 0;
    bool emergency = true;
    int calls = 0;
    ENDS(XCP_OK, xcp_simulator_story(3, &world, &error));
    ENDS(XCP_OK, xcp_transport_simulator(world, &way, &error));
    ENDS(XCP_OK, xcp_probe_json(way, "phantom", "root", "xcp-test", NULL, NULL, &out, &error));
    CHECK(strstr(out, "\"role\":\"master\"") != NULL);
    free_text(out);
    ENDS(XCP_OK, xcp_local_session_open(way, "phantom", "root", "xcp-test", "{\"timeout\": 9}", NULL, &local, &error));
    ENDS(XCP_OK, xcp_local_session_endpoint(local, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_local_session_is_in_emergency_mode(local, NULL, &emergency, &error));
    CHECK(!emergency);
    ENDS(XCP_OK, xcp_local_session_call_json(local, "host.is_in_emergency_mode", NULL, NULL, &out, &error));
    free_text(out);
    xcp_local_session_free(local);
    xcp_local_session_free(local); /* recognised */

    ENDS(XCP_OK, xcp_client_connect(way, "phantom", "root", "xcp-test", NULL, NULL, &pool, &error));
    ENDS(XCP_OK, xcp_client_locate(pool, "10.0.0.2", &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_client_role_json(pool, "10.0.0.2", NULL, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_client_beside(pool, "10.0.0.2", NULL, &other, &error));
    ENDS(XCP_OK, xcp_client_local(pool, "10.0.0.2", NULL, &beside, &error));
    xcp_local_session_free(beside);
    ENDS(XCP_OK, xcp_client_view(pool, "{\"timeout\": 100}", &view, &error));
    ENDS(XCP_OK, xcp_client_call_json(view, "host.get_all", "[]", NULL, &out, &error));
    free_text(out);
    xcp_client_free(view);
    ENDS(XCP_OK, xcp_client_snapshot(pool, "[\"pool\", \"host\", \"host_metrics\", \"Certificate\"]", false, NULL,
                                     &snapshot, &error));
    ENDS(XCP_OK, xcp_evidence_json(pool, snapshot, NULL, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_transport_remember_members(way, snapshot, 443, &count, &error));
    CHECK(count == 0);
    xcp_snapshot_free(snapshot);
    ENDS(XCP_OK, xcp_client_watch_with(pool, "overview", "{\"hold\": 1}", NULL, &watch, &error));
    ENDS(XCP_OK, xcp_watch_poll(watch, NULL, &count, &error));
    xcp_watch_free(watch);

    ENDS(XCP_OK, xcp_client_call_json(other, "VM.get_by_name_label", "[\"monitor\"]", NULL, &out, &error));
    ENDS(XCP_OK, xcp_client_start(other, "VM.clean_shutdown", out, NULL, &task, &error));
    free_text(out);
    xcp_client_free(other);
    CHECK(strncmp(xcp_task_ref(task), "OpaqueRef:", 10) == 0);
    ENDS(XCP_OK, xcp_task_record_json(task, NULL, &out, &error));
    free_text(out);
    ENDS(XCP_E_NULL, xcp_task_cancel(NULL, NULL, &error));
    ENDS(XCP_OK, xcp_task_wait_json(task, told, &calls, NULL, &out, &error));
    CHECK(calls > 0);
    free_text(out);
    ENDS(XCP_E_OUTCOME_UNKNOWN, xcp_task_wait_json(task, NULL, NULL, NULL, &out, &error));
    xcp_task_free(task);
    xcp_client_free(pool);

    xcp_error *error = NULL;
    CHECK(xcp_client_connect(way, "phantom", "root", "no", NULL, NULL, &pool, &error) == XCP_E_FAULT);
    CHECK(strcmp(xcp_error_login_failure(error), "bad-password") == 0);
    CHECK(xcp_error_mismatch_json(error) == NULL);
    xcp_error_free(error);
    xcp_transport_free(way);
    xcp_simulator_free(world);
}

static void planned(void) {
    const char *spec = "{\"pools\": [{\"name\": \"lab\", \"hosts\": [{\"name\": \"a\", \"address\": \"10.0.0.1\"},"
                       "{\"name\": \"b\", \"address\": \"10.0.0.2\"}, {\"name\": \"c\", \"address\": \"10.0.0.3\"}]}]}";
    const char *hosts = "[\"10.0.0.2\", \"10.0.0.3\"]";
    xcp_simulator *world = NULL;
    xcp_transport *way = NULL;
    xcp_client *pool = NULL;
    xcp_snapshot *all = NULL;
    xcp_plan *plan = NULL;
    char *out = NULL, *told = NULL, *digest = NULL;
    int calls = 0;
    ENDS(XCP_OK, xcp_simulator_new(spec, &world, &error));
    ENDS(XCP_OK, xcp_transport_simulator(world, &way, &error));
    ENDS(XCP_OK, xcp_client_connect(way, "a", "root", "xcp-test", NULL, NULL, &pool, &error));
    ENDS(XCP_OK, xcp_client_snapshot(pool, "everything", true, NULL, &all, &error));

    ENDS(XCP_OK, xcp_plan_maintenance(all, "b", &plan, &error));
    ENDS(XCP_OK, xcp_run(pool, plan, NULL, NULL, progress, &calls, NULL, &out, &error));
    CHECK(calls > 0);
    free_text(out);
    xcp_plan_free(plan);

    ENDS(XCP_OK, xcp_plan_eject(all, "c", &plan, &error));
    ENDS(XCP_OK, xcp_plan_losses_digest(plan, &digest, &error));
    ENDS(XCP_E_NOT_DONE, xcp_run(pool, plan, NULL, NULL, NULL, NULL, NULL, &out, &error));
    ENDS(XCP_OK, xcp_run(pool, plan, digest, NULL, NULL, NULL, NULL, &out, &error));
    free_text(out);
    free_text(digest);
    xcp_plan_free(plan);
    xcp_snapshot_free(all);

    ENDS(XCP_OK, xcp_plan_hand_over(pool, "b", NULL, &plan, &error));
    ENDS(XCP_OK, xcp_run(pool, plan, NULL, NULL, NULL, NULL, NULL, &out, &error));
    free_text(out);
    xcp_plan_free(plan);

    ENDS(XCP_OK, xcp_client_snapshot(pool, "everything", true, NULL, &all, &error));
    ENDS(XCP_OK, xcp_diagnose(way, hosts, "root", "xcp-test", all, NULL, &out, &told, &error));
    CHECK(strstr(out, "\"evidence\"") != NULL);
    free_text(told);
    free_text(out);
    ENDS(XCP_OK, xcp_plan_recovery(all, "{}", &plan, &error));
    CHECK(!xcp_plan_is_complete(plan));
    ENDS(XCP_E_STATE, xcp_recover(way, hosts, "root", "xcp-test", all, plan, NULL, NULL, NULL, NULL, NULL, &out, &error));
    xcp_plan_free(plan);
    xcp_snapshot_free(all);
    xcp_client_free(pool);
    xcp_transport_free(way);
    xcp_simulator_free(world);
}

static void joining_many(void) {
    const char *spec = "{\"pools\": [{\"name\": \"lab\", \"hosts\": [{\"name\": \"a\", \"address\": \"10.0.0.1\"}]},"
                       "{\"hosts\": [{\"name\": \"b\", \"address\": \"10.0.0.2\"}]}, {\"hosts\": [{\"name\": \"c\","
                       "\"address\": \"10.0.0.3\"}]}]}";
    const char *names[3] = {"a", "b", "c"};
    xcp_simulator *world = NULL;
    xcp_transport *way = NULL;
    xcp_client *clients[3] = {NULL, NULL, NULL};
    const xcp_client *hosts[2];
    xcp_snapshot *own[3] = {NULL, NULL, NULL};
    xcp_report *reports[2] = {NULL, NULL};
    const xcp_report *of[2];
    xcp_joins *joins = NULL, *again = NULL;
    xcp_plan *plan = NULL;
    char *out = NULL, *digest = NULL;
    bool all = false;
    int calls = 0;
    ENDS(XCP_OK, xcp_simulator_new(spec, &world, &error));
    ENDS(XCP_OK, xcp_transport_simulator(world, &way, &error));
    for (int n = 0; n < 3; n++) {
        ENDS(XCP_OK, xcp_client_connect(way, names[n], "root", "xcp-test", NULL, NULL, &clients[n], &error));
        ENDS(XCP_OK, xcp_client_snapshot(clients[n], "preflight", true, NULL, &own[n], &error));
    }
    for (int n = 0; n < 2; n++) {
        ENDS(XCP_OK, xcp_preflight(own[0], own[n + 1], NULL, &reports[n], &error));
        of[n] = reports[n];
        hosts[n] = clients[n + 1];
    }
    ENDS(XCP_OK, xcp_plan_join_many(of, 2, NULL, &joins, &error));
    for (int n = 0; n < 2; n++) xcp_report_free(reports[n]);
    ENDS(XCP_OK, xcp_joins_json(joins, &out, &error));
    ENDS(XCP_OK, xcp_joins_from_json(out, &again, &error));
    free_text(out);
    xcp_joins_free(joins);
    CHECK(xcp_joins_count(again) == 2 && xcp_joins_is_complete(again));
    ENDS(XCP_OK, xcp_joins_text(again, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_joins_losses_json(again, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_joins_digest(again, &out, &error));
    free_text(out);
    ENDS(XCP_OK, xcp_joins_plan(again, 1, &plan, &error));
    xcp_plan_free(plan);
    ENDS(XCP_OK, xcp_joins_losses_digest(again, &digest, &error));
    ENDS(XCP_E_INVALID_INPUT, xcp_join_many(clients[0], hosts, 1, again, digest, NULL, NULL, NULL, NULL, &all, &out, &error));
    ENDS(XCP_OK, xcp_join_many(clients[0], hosts, 2, again, digest, "{\"on_failure\": \"stop\"}", progress, &calls,
                               NULL, &all, &out, &error));
    CHECK(all && calls > 0);
    free_text(out);
    free_text(digest);
    xcp_joins_free(again);
    for (int n = 0; n < 3; n++) {
        xcp_snapshot_free(own[n]);
        xcp_client_free(clients[n]);
    }
    xcp_transport_free(way);
    xcp_simulator_free(world);
}

static void pin(void *ctx, const char *host, const xcp_reply *reply) {
    (void)ctx, (void)host, (void)reply;
}

static void remember(void *ctx, const char *host, const char *print, const xcp_reply *reply) {
    (void)ctx, (void)host, (void)print, (void)reply;
}

static void released(void *ctx) {
    ++*(int *)ctx;
}

static void trust_stores(void) {
    xcp_trust_store *store = NULL;
    xcp_transport *way = NULL;
    xcp_client *client = NULL;
    char *out = NULL;
    int releases = 0;
    xcp_trust_callbacks table = {sizeof table, &releases, pin, remember, released};
    ENDS(XCP_OK, xcp_trust_store_custom(&table, &store, &error));
    xcp_trust_store_free(store);
    CHECK(releases == 1);
    ENDS(XCP_E_INVALID_INPUT, xcp_trust_store_authorities("no certificate", &store, &error));
    ENDS(XCP_E_INVALID_INPUT, xcp_trust_store_authorities_file("/nonexistent/ca.pem", &store, &error));
    ENDS(XCP_OK, xcp_fingerprint((const uint8_t *)"abc", 3, &out, &error));
    CHECK(strncmp(out, "SHA256:BA:78:", 13) == 0);
    free_text(out);
    ENDS(XCP_OK, xcp_trust_store_memory(&store, &error));
    xcp_trust_store_free(store);
    ENDS(XCP_OK, xcp_trust_store_danger_accept_any(&store, &error));
    xcp_trust_store_free(store);
    ENDS(XCP_OK, xcp_trust_store_pins("[]", &store, &error));
    ENDS(XCP_OK, xcp_transport_https("{\"connect_timeout\": 1}", store, &way, &error));
    xcp_trust_store_free(store);
    ENDS(XCP_E_TRANSPORT, xcp_client_connect(way, "127.0.0.1:9", "root", "x", NULL, NULL, &client, &error));
    xcp_transport_free(way);
    ENDS(XCP_OK, xcp_trust_store_file("/nonexistent/pins", &store, &error));
    ENDS(XCP_OK, xcp_trust_store_pins_json(store, &out, &error));
    free_text(out);
    ENDS(XCP_E_INVALID_INPUT, xcp_trust_store_forget(store, "a:443", &error));
    xcp_trust_store_free(store);
}

static void exchange(void *ctx, const xcp_request *request, const xcp_reply *reply) {
    size_t length = 0;
    (void)ctx;
    CHECK(xcp_request_body(request, &length) != NULL && length > 0);
    CHECK(strncmp(xcp_request_url(request), "https://", 8) == 0);
    CHECK(xcp_request_timeout_ms(request) > 0 && xcp_request_max_reply(request) > 0);
    CHECK(!xcp_request_is_cancelled(request));
    ENDS(XCP_E_INVALID_INPUT, xcp_reply_error(reply, 12345, "nonsense", &error));
    ENDS(XCP_OK, xcp_reply_body(reply, NULL, 0, &error));
    ENDS(XCP_OK, xcp_reply_error(reply, XCP_E_TIMEOUT, "no answer", &error));
}

static void a_custom_transport(void) {
    xcp_transport *way = NULL;
    xcp_client *client = NULL;
    int releases = 0;
    xcp_transport_callbacks table = {sizeof table, &releases, exchange, released};
    ENDS(XCP_OK, xcp_transport_custom(&table, &way, &error));
    ENDS(XCP_E_TIMEOUT, xcp_client_connect(way, "10.0.0.1", "root", "x", NULL, NULL, &client, &error));
    xcp_transport_free(way);
    CHECK(releases == 1);
    table.size = 1;
    ENDS(XCP_E_INVALID_INPUT, xcp_transport_custom(&table, &way, &error));
}

static void the_log(void) {
    int lines = 0;
    ENDS(XCP_E_INVALID_INPUT, xcp_log_set(6, hears, &lines, forgotten, &error));
    ENDS(XCP_OK, xcp_log_set(XCP_LOG_INFO, hears, &lines, forgotten, &error));
    planned();
    CHECK(lines > 0);
    ENDS(XCP_OK, xcp_log_set(XCP_LOG_OFF, NULL, NULL, NULL, &error));
    CHECK(lines < 0);
}

int main(void) {
    pure_functions();
    errors();
    snapshots_and_reports();
    the_simulator();
    the_log();
    worlds_from_above();
    single_hosts_and_tasks();
    planned();
    joining_many();
    trust_stores();
    a_custom_transport();
    puts("every function was called");
    return 0;
}
