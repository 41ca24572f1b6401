/*
 * xcp_pool: resource pools of XCP-ng and XenServer hosts. Decide, then act.
 *
 * This file is made from the library's source; it is C99, and C++ can include it.
 *
 * THE CONTRACT, which holds for every function unless it says otherwise:
 *
 * Results. A function that can fail returns an xcp_status. Outputs come last, through pointers to
 * the caller's variables, and are written only when the function returns XCP_OK. After them comes
 * `xcp_error **error`: it may be NULL; otherwise an error object is written there when, and only
 * when, the function fails, and the caller frees it with xcp_error_free. There is no last error kept
 * anywhere else. An argument is never both input and output.
 *
 * Texts in are UTF-8, end with NUL and are copied during the call. A text that is not UTF-8 is
 * XCP_E_UTF8; a NULL where a text is needed is XCP_E_NULL.
 *
 * Texts out. What is written to a `char **` belongs to the caller, who frees it with
 * xcp_string_free and never with free(). What is returned as `const char *` belongs to the object
 * that it was asked of and lives as long as that object, or is static; it is never freed.
 *
 * Objects are opaque. Only the library creates them; each type has a function to free it, which
 * takes NULL and does nothing then. A pointer that was freed before, or that is of another type, is
 * recognised as long as no new object took its address: the call answers XCP_E_MISUSE, and freeing
 * does nothing. This finds mistakes; do not rely on it.
 *
 * JSON. Rich inputs and results are JSON texts. Every result is an object with a number "schema",
 * which changes when a field goes or changes its meaning; fields are added without notice, so
 * readers ignore what they do not know. Numbers that a call is about are C scalars.
 *
 * Threads. Every function may be called from every thread, and one object may be used by many
 * threads at once. Freeing an object while another thread's call uses it is safe: it ends after
 * that call. What a `const char *` points to ends with its object, though.
 *
 * Panics. A bug in the library that makes it panic ends in XCP_E_PANIC, or in the answer for "none"
 * where there is no status, and the process goes on; objects that the call used are spoilt: they
 * answer XCP_E_MISUSE, and can only be freed.
 *
 * Numbers that stand for a choice (enum inputs) are taken as uint32_t; an unknown one is
 * XCP_E_INVALID_INPUT.
 */


#ifndef XCP_POOL_H
#define XCP_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The ABI that this header describes; `xcp_abi_version` tells the library's.
 *
 * It changes when a function, a number or the meaning of an argument changes or goes, and not when
 * something is added. A program that loads the library at run time compares the two first.
 */
#define XCP_ABI_VERSION 1

/**
 * How a call ended.
 *
 * The numbers never change their meaning. 1 to 99: the caller's mistake; 100 to 199: the world is
 * not as the call needs it; 200 to 299: the way to the other side; 300 to 399: the caller's wish;
 * 900 to 999: a bug in the library.
 */
typedef enum {
  /**
   * Done; outputs are written.
   */
  XCP_OK = 0,
  /**
   * A pointer that must not be NULL is.
   */
  XCP_E_NULL = 1,
  /**
   * A text is not UTF-8.
   */
  XCP_E_UTF8 = 2,
  /**
   * A pointer leads to no living object of its type, or a panic spoilt the object.
   */
  XCP_E_MISUSE = 3,
  /**
   * An argument has a value that cannot be; the message names it.
   */
  XCP_E_INVALID_INPUT = 4,
  /**
   * A XAPI server raised a fault; the error has its code and parameters.
   */
  XCP_E_FAULT = 100,
  /**
   * The world is not in the state that the call needs.
   */
  XCP_E_STATE = 101,
  /**
   * No connection, or it broke. A write may have been done.
   */
  XCP_E_TRANSPORT = 200,
  /**
   * The deadline passed. A write may have been done.
   */
  XCP_E_TIMEOUT = 201,
  /**
   * The certificate of the other side is not trusted.
   */
  XCP_E_TRUST = 202,
  /**
   * The other side did not speak the protocol.
   */
  XCP_E_PROTOCOL = 203,
  /**
   * A message was larger than its limit.
   */
  XCP_E_TOO_LARGE = 204,
  /**
   * The caller cancelled.
   */
  XCP_E_CANCELLED = 300,
  /**
   * The library panicked and caught itself: please report it. The process goes on; objects that
   * the call used answer XCP_E_MISUSE from now on, and can only be freed.
   */
  XCP_E_PANIC = 900,
  /**
   * A bug in the library that it noticed: please report it.
   */
  XCP_E_INTERNAL = 901,
} xcp_status;

/**
 * Whether a host may join.
 */
typedef enum {
  /**
   * There is no report: the pointer is NULL or leads to none.
   */
  XCP_VERDICT_NONE = 0,
  /**
   * Nothing stands in the way.
   */
  XCP_VERDICT_READY = 1,
  /**
   * Nothing that is known stands in the way, but evidence is missing.
   */
  XCP_VERDICT_UNKNOWN = 2,
  /**
   * Only `pool.join_force` would pass.
   */
  XCP_VERDICT_NEEDS_FORCE = 3,
  /**
   * Something stands in the way.
   */
  XCP_VERDICT_BLOCKED = 4,
} xcp_verdict;

/**
 * What went wrong in one call: a status, a message, and the server's fault if it raised one.
 *
 * Threads: immutable; may be read by many at once.
 */
typedef struct xcp_error xcp_error;

/**
 * What a preflight found.
 *
 * Made by `xcp_preflight`, freed by `xcp_report_free`. Threads: immutable; may be used by many at
 * once.
 */
typedef struct xcp_report xcp_report;

/**
 * The records of one pool at one moment.
 *
 * Made by `xcp_snapshot_from_json`, freed by `xcp_snapshot_free`. Threads: immutable; may be used
 * by many at once.
 */
typedef struct xcp_snapshot xcp_snapshot;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the library's `XCP_ABI_VERSION`.
 *
 * Never fails. From any thread.
 */
uint32_t xcp_abi_version(void);

/**
 * Returns the version of the library, such as "0.1.0".
 *
 * Static: never freed. Never fails. From any thread.
 */
const char *xcp_version(void);

/**
 * Returns the name of a status, such as "XCP_E_UTF8"; "unknown status" for a number that is none.
 *
 * Static: never freed. Never fails. From any thread.
 */
const char *xcp_status_name(uint32_t status);

/**
 * Frees a text that a function of this library wrote to a `char **`. NULL is fine.
 *
 * Texts that are returned as `const char *` belong to someone else and are not freed. From any
 * thread.
 *
 * Safety:
 * `text` is NULL or came from this library, and is not used any more.
 */
void xcp_string_free(char *text);

/**
 * Returns the error's status; XCP_OK for NULL, XCP_E_MISUSE for what is no error (any more).
 *
 * From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
xcp_status xcp_error_code(const xcp_error *error);

/**
 * Returns what went wrong, in one line; "" for NULL and for what is no error (any more).
 *
 * Belongs to the error, and lives as long as it. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_message(const xcp_error *error);

/**
 * Returns the code of the fault that a XAPI server raised, letter for letter; NULL if none did.
 *
 * Belongs to the error, and lives as long as it. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_fault_code(const xcp_error *error);

/**
 * Returns the parameters of the fault as a JSON array of texts; "[]" if there is no fault.
 *
 * Belongs to the error, and lives as long as it. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_fault_params_json(const xcp_error *error);

/**
 * Frees an error and the texts that belong to it. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library, and its texts are not used any more.
 */
void xcp_error_free(xcp_error *error);

/**
 * Loads a snapshot from its JSON, `{class: {ref: record}}` in XAPI's names.
 *
 * Unknown classes, fields and values are tolerated; a record that cannot be read is left out and
 * told by `xcp_snapshot_problems_json`. `complete` is for what people write by hand: fields,
 * relations and classes that are left out get XAPI's defaults. Records of real servers are loaded
 * without it.
 *
 * `*snapshot` is freed with `xcp_snapshot_free`. From any thread. Fails with XCP_E_INVALID_INPUT if
 * the text is no object of objects.
 *
 * Safety:
 * `json` ends with NUL; `snapshot` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_snapshot_from_json(const char *json,
                                  bool complete,
                                  xcp_snapshot **snapshot,
                                  xcp_error **error);

/**
 * Saves a snapshot as JSON that `xcp_snapshot_from_json` loads, records in the order of their refs.
 *
 * `*json` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `snapshot` came from this library; `json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_snapshot_to_json(const xcp_snapshot *snapshot, char **json, xcp_error **error);

/**
 * Counts the records of a class, such as "SR".
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for a class that the library does not know, and
 * with XCP_E_STATE if the snapshot does not cover the class, so that nobody knows how many there are.
 *
 * Safety:
 * `snapshot` came from this library; `class_name` ends with NUL; `count` can be written; `error` is
 * NULL or can be written.
 */
xcp_status xcp_snapshot_count(const xcp_snapshot *snapshot,
                              const char *class_name,
                              size_t *count,
                              xcp_error **error);

/**
 * Tells which records of a snapshot's source could not be read, and why.
 *
 * `*problems_json` is `{"schema": 1, "problems": [{"class", "ref", "message"}...]}`, freed with
 * `xcp_string_free`. From any thread.
 *
 * Safety:
 * `snapshot` came from this library; `problems_json` can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_snapshot_problems_json(const xcp_snapshot *snapshot,
                                      char **problems_json,
                                      xcp_error **error);

/**
 * Frees a snapshot. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `snapshot` is NULL or came from this library.
 */
void xcp_snapshot_free(xcp_snapshot *snapshot);

/**
 * Tells whether a host may join a pool, as `xcp_preflight_json` does, on snapshot objects.
 *
 * `options_json` may be NULL; it is as for `xcp_preflight_json`, except that
 * "complete_snapshots" changes nothing here: snapshots are completed when they are loaded.
 *
 * `*report` is freed with `xcp_report_free`. From any thread. Fails with XCP_E_INVALID_INPUT for
 * unknown options.
 *
 * Safety:
 * `pool` and `host` came from this library; `options_json` is NULL or ends with NUL; `report` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_preflight(const xcp_snapshot *pool,
                         const xcp_snapshot *host,
                         const char *options_json,
                         xcp_report **report,
                         xcp_error **error);

/**
 * Returns whether the host may join; XCP_VERDICT_NONE for NULL and for what is no report.
 *
 * From any thread.
 *
 * Safety:
 * `report` is NULL or came from this library.
 */
xcp_verdict xcp_report_verdict(const xcp_report *report);

/**
 * Returns how many findings stand in the way; 0 for NULL and for what is no report.
 *
 * 0 alone does not mean that the host may join: ask `xcp_report_verdict`. From any thread.
 *
 * Safety:
 * `report` is NULL or came from this library.
 */
size_t xcp_report_blocking_count(const xcp_report *report);

/**
 * Returns how many findings there are; 0 for NULL and for what is no report.
 *
 * From any thread.
 *
 * Safety:
 * `report` is NULL or came from this library.
 */
size_t xcp_report_finding_count(const xcp_report *report);

/**
 * Tells the report as JSON, in the form that `xcp_preflight_json` describes.
 *
 * `*json` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `report` came from this library; `json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_report_json(const xcp_report *report, char **json, xcp_error **error);

/**
 * Tells the report as text for people: the verdict, a line for each finding, then the details.
 *
 * `*text` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `report` came from this library; `text` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_report_text(const xcp_report *report, char **text, xcp_error **error);

/**
 * Tells the report as Markdown: the verdict, a table, then the details of each finding.
 *
 * `*markdown` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `report` came from this library; `markdown` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_report_markdown(const xcp_report *report, char **markdown, xcp_error **error);

/**
 * Frees a report. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `report` is NULL or came from this library.
 */
void xcp_report_free(xcp_report *report);

/**
 * Tells whether a host may join a pool: everything that speaks against it, with the way out.
 *
 * Both snapshots are `{class: {ref: record}}` in XAPI's names: the pool's from its master, the
 * host's own from itself. Nothing is invented: what a snapshot lacks shows as findings of severity
 * "unknown".
 *
 * `options_json` may be NULL. It is `{"force": bool, "policy": {"documented": bool, "overrides":
 * {rule: reason}}, "evidence": {...}, "complete_snapshots": bool}`, all optional: `force` asks about
 * `pool.join_force`; `policy` overrides rules by code, and `documented` makes the vendor's documents
 * binding; `complete_snapshots` first fills in what hand-written snapshots leave out with defaults.
 * `evidence` is what the databases do not tell: `"joiner_bridge_backend"` ("openvswitch" or
 * "bridge"), `"editions"` (what the host's licence daemon answers: `[{"title", "order"}...]`,
 * "unreachable", "v6d_failure", "api_v6d_failure", or null if that is not known), `"joiner_host"`
 * (ref), `"joiner_time"`, `"master_time"` (XAPI's datetimes), `"master_address"`.
 *
 * `*report_json` is `{"schema": 1, "verdict": "ready" | "blocked" | "needs-force" | "unknown",
 * "force", "predicted_fault": {"code", "params"} | null, "findings": [{"rule", "severity", "side",
 * "xapi_check", "fault", "objects", "expected", "actual", "message", "remedy", "overridden"}...]}`,
 * findings in the order of XAPI's own checks first. Free it with `xcp_string_free`.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for texts of another form and for unknown options.
 *
 * Safety:
 * The texts end with NUL; `report_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_preflight_json(const char *pool_snapshot_json,
                              const char *host_snapshot_json,
                              const char *options_json,
                              char **report_json,
                              xcp_error **error);

/**
 * Tells which hosts of an HA pool survive when links, storage or hosts fail, as the HA daemon
 * decides.
 *
 * `input_json` is one of
 * - a pool in words: `{"hosts": [uuid...]}`, all healthy, or `{"snapshot": {class: {ref: record}},
 *   "complete_snapshots": bool}`, whose dead hosts crashed before; and what happens to it, each of
 *   it optional: `"shut_down": [host...]` (cleanly, before the fault), `"crash": [host...]`,
 *   `"lose_storage": [host...]`, `"cut": [[host, host]...]` (the network between two),
 *   `"split": [[host...]...]` (each group from all others), `"weights": {host: number}`,
 *   `"master": host`, `"base_timeout": seconds`. Hosts are named by uuid; in a snapshot also by ref
 *   or by a name that only one of them has. The outcome has, beside `"schema"`, `"hosts"` (each with
 *   its fate and why), `"rule"`, `"survivors"`, `"fenced"`, `"next_live_set"`, `"election"` (who may
 *   be master) and `"wait"` (seconds until anyone may act).
 * - what each host knows, as bit masks with bit k for host k: `{"n", "weights", "excluded",
 *   "liveset", "running", "hb", "sf", "stale_view"}`; other fields are ignored. The outcome is
 *   `{"schema", "hosts": {"0": {"views_agreed", "survives", "by_rule2", "hb_after", "sf_after",
 *   "proposed_liveset"}...}}` for the hosts that run.
 *
 * `*outcome_json` is freed with `xcp_string_free`. From any thread. Fails with XCP_E_INVALID_INPUT
 * for input of another form, and for views that the daemon's rules are not made for.
 *
 * Safety:
 * `input_json` ends with NUL; `outcome_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_partition_json(const char *input_json,
                              char **outcome_json,
                              xcp_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* XCP_POOL_H */
