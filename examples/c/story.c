/* Ignite joins the pool of Phantom, on the simulator: preflight, plan, join, and what came of it.
 *   cc -std=c99 story.c -I../../include -L../../target/debug -lxcp_pool -o story && ./story
 * Against real hosts only the transport differs: xcp_transport_https. */
#include "xcp_pool.h"

#include <stdio.h>
#include <stdlib.h>

static xcp_error *error = NULL;

static void check(xcp_status status) {
    if (status == XCP_OK) return;
    fprintf(stderr, "%s: %s\n", xcp_status_name(status), xcp_error_message(error));
    exit(1);
}

static xcp_client *log_in(const xcp_transport *way, const char *address) {
    xcp_client *client = NULL;
    check(xcp_client_connect(way, address, "root", "xcp-test", NULL, NULL, &client, &error));
    return client;
}

static xcp_snapshot *look(const xcp_client *client) {
    xcp_snapshot *snapshot = NULL;
    size_t srs = 0;
    check(xcp_client_snapshot(client, "preflight", true, NULL, &snapshot, &error));
    check(xcp_snapshot_count(snapshot, "SR", &srs, &error));
    printf("the pool has %zu SRs\n", srs);
    return snapshot;
}

int main(void) {
    xcp_simulator *world = NULL;
    xcp_transport *way = NULL;
    xcp_report *report = NULL;
    xcp_plan *plan = NULL;
    char *found = NULL, *steps = NULL, *consent = NULL, *joined = NULL, *master = NULL;
    check(xcp_simulator_story(1, &world, &error));
    check(xcp_transport_simulator(world, &way, &error));
    xcp_client *pool = log_in(way, "phantom"), *host = log_in(way, "ignite");
    xcp_snapshot *before = look(pool);
    check(xcp_preflight_live(pool, host, NULL, NULL, &report, &error)); /* reads both, their clocks too */
    check(xcp_report_text(report, &found, &error));
    check(xcp_plan_join(report, NULL, &plan, &error));
    check(xcp_plan_text(plan, &steps, &error));
    check(xcp_plan_losses_digest(plan, &consent, &error)); /* a person has seen the losses */
    printf("%s\n\n%s\n\n", found, steps);
    check(xcp_join(pool, host, plan, consent, NULL, NULL, NULL, NULL, &joined, &error));
    xcp_snapshot *after = look(pool);
    xcp_client *led = log_in(way, "ignite"); /* a member now: it names its master */
    check(xcp_client_endpoint(led, &master, &error));
    printf("%s\na client pointed at ignite is led to %s\n", joined, master);
    xcp_string_free(found), xcp_string_free(steps), xcp_string_free(consent);
    xcp_string_free(joined), xcp_string_free(master), xcp_client_free(led), xcp_plan_free(plan);
    xcp_report_free(report), xcp_snapshot_free(after), xcp_snapshot_free(before);
    xcp_client_free(host), xcp_client_free(pool);
    xcp_transport_free(way), xcp_simulator_free(world);
    return 0;
}
