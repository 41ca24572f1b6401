/* What calls of the library cost in C: prints a name and nanoseconds a line.
 * usage: abi [seconds for each] */
#define _POSIX_C_SOURCE 199309L
#include "xcp_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(xcp_status status, xcp_error *error) {
    if (status == XCP_OK) return;
    fprintf(stderr, "%s: %s\n", xcp_status_name(status), xcp_error_message(error));
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static xcp_snapshot *snapshot(const xcp_simulator *world, const char *host) {
    xcp_error *error = NULL;
    char *database = NULL;
    xcp_snapshot *snapshot = NULL;
    must(xcp_simulator_database_json(world, host, &database, &error), error);
    must(xcp_snapshot_from_json(database, false, &snapshot, &error), error);
    xcp_string_free(database);
    return snapshot;
}

static size_t sink;
static xcp_snapshot *pool, *host;
static xcp_report *report;

static void number(void) { sink += xcp_report_finding_count(report); }

static void failure(void) {
    xcp_snapshot *none = NULL;
    xcp_error *error = NULL;
    if (xcp_snapshot_from_json("[", false, &none, &error) == XCP_OK) exit(1);
    sink += strlen(xcp_error_message(error));
    xcp_error_free(error);
}

static void as_json(void) {
    char *json = NULL;
    xcp_error *error = NULL;
    must(xcp_report_json(report, &json, &error), error);
    sink += strlen(json);
    xcp_string_free(json);
}

static void whole(void) {
    xcp_report *kept = report;
    xcp_error *error = NULL;
    must(xcp_preflight(pool, host, NULL, &report, &error), error);
    as_json();
    xcp_report_free(report);
    report = kept;
}

static void measure(const char *name, void (*call)(void), double seconds) {
    double start = now(), best = 1e9;
    long batch = 1;
    do {
        double began = now(), took;
        for (long n = 0; n < batch; n++) call();
        took = now() - began;
        if (took / (double)batch < best) best = took / (double)batch;
        if (took < seconds / 20) batch *= 2;
    } while (now() - start < seconds);
    printf("%s\t%.1f\n", name, best * 1e9);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    char spec[16384];
    size_t at = (size_t)sprintf(spec, "{\"pools\": [{\"name\": \"large\", \"hosts\": [");
    for (int n = 1; n <= 64; n++)
        at += (size_t)sprintf(spec + at, "%s{\"name\": \"host%d\", \"address\": \"10.0.1.%d\"}", n > 1 ? "," : "", n, n);
    sprintf(spec + at, "]}, {\"hosts\": [{\"name\": \"ignite\", \"address\": \"10.0.2.1\"}], "
            "\"shared_srs\": [{\"name\": \"nfs\", \"type\": \"nfs\"}], "
            "\"vlans\": [{\"name\": \"lab\", \"nic\": 0, \"tag\": 7}], "
            "\"vms\": [{\"name\": \"a\"}, {\"name\": \"b\", \"power\": \"running\", \"host\": \"ignite\"}]}]}");

    xcp_simulator *world = NULL;
    xcp_error *error = NULL;
    must(xcp_simulator_new(spec, &world, &error), error);
    pool = snapshot(world, "host1");
    host = snapshot(world, "ignite");
    must(xcp_preflight(pool, host, NULL, &report, &error), error);
    measure("a number of an object", number, seconds);
    measure("an error with its message", failure, seconds);
    measure("the report of 64 hosts as JSON", as_json, seconds);
    measure("its preflight, as JSON", whole, seconds);
    xcp_report_free(report);
    xcp_snapshot_free(host);
    xcp_snapshot_free(pool);
    xcp_simulator_free(world);
    return sink == 0;
}
