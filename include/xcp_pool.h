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
 * JSON. Rich inputs and results are JSON texts, described by the JSON Schema beside this file,
 * xcp_pool.schema.json: its "x-functions" names the form of each argument. Every result is an object
 * with a number "schema", which changes when a field goes or changes its meaning; fields are added
 * without notice, so readers ignore what they do not know. (Three have no number, since their form is
 * XAPI's: snapshots, databases, and what a method of XAPI answers; what belongs to an error has none either.)
 * Numbers that a call is about are C scalars.
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
   * An operation was not done, and nothing is under way that would bring it about.
   */
  XCP_E_NOT_DONE = 102,
  /**
   * Whether an operation was done cannot be told; calling it again looks again.
   */
  XCP_E_OUTCOME_UNKNOWN = 103,
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
   * The library panicked and caught itself: please report it.
   *
   * The process goes on; calls with the objects that were in use fail with XCP_E_MISUSE from now
   * on, and these can only be freed.
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
 * How much a log is told, and how much a line matters.
 *
 * A level takes in those with smaller numbers.
 */
typedef enum {
  /**
   * Nothing is told.
   */
  XCP_LOG_OFF = 0,
  /**
   * Not used at present: what fails is told by the function that fails.
   */
  XCP_LOG_ERROR = 1,
  /**
   * What may need a person.
   *
   * A lost connection, a session that is gone, an unknown outcome, a certificate that is new or
   * wrong.
   */
  XCP_LOG_WARN = 2,
  /**
   * What goes on: logins, redirects, the steps of operations.
   */
  XCP_LOG_INFO = 3,
  /**
   * Each request, and what is waited for.
   */
  XCP_LOG_DEBUG = 4,
  /**
   * Everything.
   */
  XCP_LOG_TRACE = 5,
} xcp_log_level;

/**
 * Ends calls early, from another thread or from a callback.
 *
 * Made by `xcp_cancel_new`, freed by `xcp_cancel_free`, given to as many calls as should end
 * together. Threads: may be used by many at once.
 */
typedef struct xcp_cancel xcp_cancel;

/**
 * A session with the master of one pool.
 *
 * Made by `xcp_client_connect`, freed by `xcp_client_free`. It is led to the master, stays with
 * its pool, and renews its session when the server has lost it. Threads: may be used by many at
 * once. While a call on a client runs a callback, that callback cannot call on the same client,
 * and a transport's callback on no client over that transport: it gets XCP_E_MISUSE.
 */
typedef struct xcp_client xcp_client;

/**
 * What went wrong in one call: a status, a message, perhaps a server's fault.
 *
 * Threads: immutable; may be read by many at once.
 */
typedef struct xcp_error xcp_error;

/**
 * A simulated world that is served over HTTP and HTTPS, to any XAPI client.
 *
 * Made by `xcp_front_start`, ended and freed by `xcp_front_free`; it keeps its world. Threads: may
 * be used by many at once.
 */
typedef struct xcp_front xcp_front;

/**
 * Plans of several joins, each for the pool as it will be after those before it.
 *
 * Made by `xcp_plan_join_many` or `xcp_joins_from_json`, freed by `xcp_joins_free`. Threads:
 * immutable; may be used by many at once.
 */
typedef struct xcp_joins xcp_joins;

/**
 * A session with one host alone: also with a member, also in emergency mode.
 *
 * For the calls that a host answers without its pool, such as
 * `pool.emergency_transition_to_master`. It is never led elsewhere and never renewed. Do not read
 * records with it: a member whose master is dead does not answer. Made by `xcp_local_session_open`
 * or `xcp_client_local`, freed by `xcp_local_session_free`. Threads: may be used by many at once.
 */
typedef struct xcp_local_session xcp_local_session;

/**
 * What to do, as data: steps that can be read, saved and run.
 *
 * Made by `xcp_plan_join` and its kin or `xcp_plan_from_json`, freed by `xcp_plan_free`. Threads:
 * immutable; may be used by many at once.
 */
typedef struct xcp_plan xcp_plan;

/**
 * Takes what a callback answers; it lives until the callback returns.
 *
 * Threads: may be used by many at once.
 */
typedef struct xcp_reply xcp_reply;

/**
 * What a preflight found.
 *
 * Made by `xcp_preflight` or `xcp_preflight_live`, freed by `xcp_report_free`. Threads: immutable;
 * may be used by many at once.
 */
typedef struct xcp_report xcp_report;

/**
 * A request that a custom transport is to carry.
 *
 * It lives until the callback returns. Threads: immutable; may be used by many at once.
 */
typedef struct xcp_request xcp_request;

/**
 * A world of hosts in memory that answer XAPI calls as real ones were recorded to.
 *
 * Made by `xcp_simulator_story` or `xcp_simulator_new`, freed by `xcp_simulator_free`; transports
 * to it keep it. Its time passes only when somebody waits on it: no program has to. Threads: may
 * be used by many at once.
 */
typedef struct xcp_simulator xcp_simulator;

/**
 * The records of one pool at one moment.
 *
 * Made by `xcp_snapshot_from_json`, freed by `xcp_snapshot_free`. Threads: immutable; may be used
 * by many at once.
 */
typedef struct xcp_snapshot xcp_snapshot;

/**
 * A call that runs in the server as a task.
 *
 * Made by `xcp_client_start`, freed by `xcp_task_free`, which leaves it running; it keeps its
 * client. Threads: may be used by many at once.
 */
typedef struct xcp_task xcp_task;

/**
 * The way to hosts: HTTPS, a simulator, or the caller's own.
 *
 * Made by `xcp_transport_https`, `xcp_transport_simulator` or `xcp_transport_custom`, freed by
 * `xcp_transport_free`; clients that were connected over it keep what they need. Threads: may be
 * used by many at once, and shared by many clients.
 */
typedef struct xcp_transport xcp_transport;

/**
 * Says which certificates of hosts are trusted.
 *
 * Made by the `xcp_trust_store_...` functions, freed by `xcp_trust_store_free`; transports keep
 * what they need. Threads: may be used by many at once.
 */
typedef struct xcp_trust_store xcp_trust_store;

/**
 * Follows a pool: a snapshot, and the changes to it as they happen.
 *
 * Made by `xcp_client_watch`, freed by `xcp_watch_free`; it keeps its client. Threads: may be used
 * by many at once, but one waits for changes at a time, and the others for it.
 */
typedef struct xcp_watch xcp_watch;

/**
 * Hears one line of the log.
 *
 * `level` is an `xcp_log_level`, `target` the part of the library that speaks, such as
 * "xcp_pool::client", `message` one line without an end of line.
 *
 * The texts live until the callback returns. It is called on whatever thread has something to
 * tell, on many at once, threads of the library included. It may call the library, though on no
 * client that is in a call, and not `xcp_log_set`: they return XCP_E_MISUSE there. What happens
 * inside of it is not told. It must not let an exception of C++ pass.
 */
typedef void (*xcp_log)(void *ctx, uint32_t level, const char *target, const char *message);

/**
 * A memory of the caller's for the certificates that hosts showed first.
 *
 * Hosts are named with their port, as "phantom.lan:443"; fingerprints are texts as
 * "SHA256:4B:8F:...". Both callbacks answer by `xcp_reply_body` with a fingerprint, or by
 * `xcp_reply_error`; then, and if they answer nothing, the host is not trusted. They are called on
 * any thread, on many at once, and must not let an exception of C++ pass.
 */
typedef struct {
  /**
   * `sizeof(xcp_trust_callbacks)`: what lies beyond is not read.
   */
  size_t size;
  /**
   * Passed to the callbacks as it is.
   */
  void *ctx;
  /**
   * Returns the fingerprint that is remembered for a host, else an empty body.
   */
  void (*pin)(void *ctx, const char *host, const xcp_reply *reply);
  /**
   * Remembers a fingerprint unless one is remembered; returns the one that counts.
   */
  void (*remember)(void *ctx, const char *host, const char *fingerprint, const xcp_reply *reply);
  /**
   * Called once, on any thread, when nobody needs `ctx` any more; may be NULL.
   */
  void (*release)(void *ctx);
} xcp_trust_callbacks;

/**
 * The caller's own transport.
 */
typedef struct {
  /**
   * `sizeof(xcp_transport_callbacks)`: what lies beyond is not read.
   */
  size_t size;
  /**
   * Passed to the callbacks as it is.
   */
  void *ctx;
  /**
   * Carries the request, and says what came of it.
   *
   * Posts the body of the request to its URL with the content type application/json, and calls
   * `xcp_reply_body` or `xcp_reply_error` before it returns.
   *
   * Called on whatever thread needs a reply, on many at once if many use the transport, threads
   * of the library included. It must not call on clients over this transport (they return
   * XCP_E_MISUSE), and must not let an exception of C++ pass.
   */
  void (*exchange)(void *ctx, const xcp_request *request, const xcp_reply *reply);
  /**
   * Called once, on any thread, when nobody needs `ctx` any more; may be NULL.
   */
  void (*release)(void *ctx);
} xcp_transport_callbacks;

/**
 * Tells how far a call has come: `done` is a number from 0 to 1.
 *
 * Called on the thread of the call. To end the call from inside use `xcp_cancel_cancel`.
 */
typedef void (*xcp_task_progress)(void *ctx, double done);

/**
 * Tells where an operation stands.
 *
 * `progress_json` is `{"schema": 1, "step", "of", "summary", "done": 0 to 1 | null, "awaited":
 * text | null, "elapsed": seconds}`.
 *
 * The text lives until the callback returns. Called on the thread of the operation, between
 * requests. The callback must not call on the operation's clients (it gets XCP_E_MISUSE), nor let
 * an exception of C++ pass. To end the operation from inside use `xcp_cancel_cancel`.
 */
typedef void (*xcp_progress)(void *ctx, const char *progress_json);

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
 * Returns the name of a status, such as "XCP_E_UTF8".
 *
 * "unknown status" for a number that is no status. Static: never freed. Never fails. From any
 * thread.
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
 * Returns the error's status.
 *
 * XCP_OK for NULL, XCP_E_MISUSE for what is no error (any more). From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
xcp_status xcp_error_code(const xcp_error *error);

/**
 * Returns what went wrong, in one line.
 *
 * "" for NULL and for what is no error (any more). Belongs to the error, and lives as long as it.
 * From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_message(const xcp_error *error);

/**
 * Returns the code of the fault that a XAPI server raised, letter for letter.
 *
 * NULL if no server raised one. Belongs to the error, and lives as long as it. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_fault_code(const xcp_error *error);

/**
 * Returns the parameters of the fault as a JSON array of texts.
 *
 * "[]" if there is no fault. Belongs to the error, and lives as long as it. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_fault_params_json(const xcp_error *error);

/**
 * Returns what was seen that led to XCP_E_NOT_DONE or XCP_E_OUTCOME_UNKNOWN.
 *
 * A JSON array of lines, oldest first; "[]" if there is nothing to tell. Belongs to the error, and
 * lives as long as it. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_evidence_json(const xcp_error *error);

/**
 * Returns what the error means if a login failed with it, else NULL.
 *
 * In the order in which a login meets them: "unreachable", "certificate" (the password was not
 * sent), "not-xapi", "still-booting", "emergency" (the host has lost its pool; the fault says
 * why), "slave" (the master that the host names could not be reached), "bad-password",
 * "other-pool", "refused" (anything else that the server raised), "caller" (cancelled, or
 * impossible). Static. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_login_failure(const xcp_error *error);

/**
 * Returns which certificate was shown in place of the trusted one.
 *
 * NULL if the error is not about a certificate, else `{"host": "phantom.lan:443", "expected":
 * ["SHA256:..."...], "actual": "SHA256:..."}`; "expected" is empty if an authority should have
 * signed. Belongs to the error, and lives as long as it. From any thread.
 *
 * Safety:
 * `error` is NULL or came from this library.
 */
const char *xcp_error_mismatch_json(const xcp_error *error);

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
 * `*snapshot` is freed with `xcp_snapshot_free`. From any thread. Fails with XCP_E_INVALID_INPUT
 * if the text is no object of objects.
 *
 * Safety:
 * `json` ends with NUL; `snapshot` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_snapshot_from_json(const char *json,
                                  bool complete,
                                  xcp_snapshot **snapshot,
                                  xcp_error **error);

/**
 * Saves a snapshot as JSON that `xcp_snapshot_from_json` loads.
 *
 * Records are in the order of their refs. `*json` is freed with `xcp_string_free`. From any
 * thread.
 *
 * Safety:
 * `snapshot` came from this library; `json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_snapshot_to_json(const xcp_snapshot *snapshot, char **json, xcp_error **error);

/**
 * Counts the records of a class, such as "SR".
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for a class that the library does not know, and
 * with XCP_E_STATE if the snapshot does not cover the class, so that nobody knows how many there
 * are.
 *
 * Safety:
 * `snapshot` came from this library; `class_name` ends with NUL; `count` can be written; `error`
 * is NULL or can be written.
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
 * Tells a pool in a few numbers and names, to compare before and after.
 *
 * `*overview_json` is `{"schema": 1, "master", "master_address", "hosts": [name...], "srs":
 * [name...], "networks": [name...], "vms": [name...]}`, the master first among the hosts, freed
 * with `xcp_string_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the snapshot has no
 * single pool with a master.
 *
 * Safety:
 * `snapshot` came from this library; `overview_json` can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_snapshot_overview_json(const xcp_snapshot *snapshot,
                                      char **overview_json,
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
 * Tells as `xcp_preflight_json` whether a host may join a pool, from snapshots.
 *
 * `options_json` may be NULL; it is as for `xcp_preflight_json`, except that
 * "complete_snapshots" changes nothing here: snapshots are completed when they are loaded.
 *
 * `*report` is freed with `xcp_report_free`. From any thread. Fails with XCP_E_INVALID_INPUT for
 * unknown options.
 *
 * Safety:
 * `pool` and `host` came from this library; `options_json` is NULL or ends with NUL; `report` can
 * be written; `error` is NULL or can be written.
 */
xcp_status xcp_preflight(const xcp_snapshot *pool,
                         const xcp_snapshot *host,
                         const char *options_json,
                         xcp_report **report,
                         xcp_error **error);

/**
 * Reads a pool and a host, and tells whether the host may join.
 *
 * The evidence that no database has is read, too.
 *
 * `pool` is a client of the pool, `host` one of the host that is to join. `options_json` is as for
 * `xcp_preflight`; what it has of the evidence stays as it is, the rest is that of
 * `xcp_join_evidence_json`. `cancel` may be NULL.
 *
 * `*report` is freed with `xcp_report_free`. From any thread. Fails as `xcp_client_snapshot`, and
 * with XCP_E_INVALID_INPUT for unknown options.
 *
 * Safety:
 * The objects came from this library, `cancel` or is NULL; `options_json` is NULL or ends with
 * NUL; `report` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_preflight_live(const xcp_client *pool,
                              const xcp_client *host,
                              const char *options_json,
                              const xcp_cancel *cancel,
                              xcp_report **report,
                              xcp_error **error);

/**
 * Reads what the preflight of a join wants and no database tells.
 *
 * As far as a call tells it.
 *
 * `pool` and `host` as for `xcp_preflight_live`, `cancel` may be NULL. `*evidence_json` is the
 * "evidence" of `xcp_preflight_json`, with "schema" beside it: both clocks at one moment
 * ("master_time", "joiner_time"; each counts as read in the middle of its round trip) and the
 * address that the pool knows its master by ("master_address"). What is not told by any call is
 * null: the editions of the licence daemon, which only its own host may ask, and the bridge
 * backend, which snapshots have. Freed with `xcp_string_free`.
 *
 * From any thread. Fails as `xcp_client_snapshot`.
 *
 * Safety:
 * The objects came from this library, `cancel` or is NULL; `evidence_json` can be written; `error`
 * is NULL or can be written.
 */
xcp_status xcp_join_evidence_json(const xcp_client *pool,
                                  const xcp_client *host,
                                  const xcp_cancel *cancel,
                                  char **evidence_json,
                                  xcp_error **error);

/**
 * Returns whether the host may join.
 *
 * XCP_VERDICT_NONE for NULL and for what is no report. From any thread.
 *
 * Safety:
 * `report` is NULL or came from this library.
 */
xcp_verdict xcp_report_verdict(const xcp_report *report);

/**
 * Returns how many findings stand in the way.
 *
 * 0 for NULL and for what is no report; 0 alone does not mean that the host may join: ask
 * `xcp_report_verdict`. From any thread.
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
 * Tells the report as text for people.
 *
 * The verdict, a line for each finding, then the details. `*text` is freed with `xcp_string_free`.
 * From any thread.
 *
 * Safety:
 * `report` came from this library; `text` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_report_text(const xcp_report *report, char **text, xcp_error **error);

/**
 * Tells the report as Markdown.
 *
 * The verdict, a table, then the details of each finding. `*markdown` is freed with
 * `xcp_string_free`. From any thread.
 *
 * Safety:
 * `report` came from this library; `markdown` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_report_markdown(const xcp_report *report, char **markdown, xcp_error **error);

/**
 * Foretells what the join will do that the report was made for.
 *
 * As `xcp_consequences_json` does. `*consequences_json` is freed with `xcp_string_free`. From any
 * thread.
 *
 * Safety:
 * `report` came from this library; `consequences_json` can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_report_consequences_json(const xcp_report *report,
                                        char **consequences_json,
                                        xcp_error **error);

/**
 * Foretells the same as Markdown, for a ticket or a wiki.
 *
 * `*markdown` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `report` came from this library; `markdown` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_report_consequences_markdown(const xcp_report *report,
                                            char **markdown,
                                            xcp_error **error);

/**
 * Makes a snapshot of the pool as it will be once the host has joined.
 *
 * As far as that is foretold. It can be asked further questions, such as how many host failures
 * the larger pool tolerates. What the report says to stand in the way is taken to be removed, and
 * not the objects that a remedy would move. Refs of new objects begin with "Joined:". `*pool` is
 * freed with `xcp_snapshot_free`. From any thread.
 *
 * Safety:
 * `report` came from this library; `pool` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_report_pool_after(const xcp_report *report, xcp_snapshot **pool, xcp_error **error);

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
 * Plans the join that a report was made for: remedies, the join, the wait.
 *
 * If `choices_json` is NULL, each finding gets the remedy that destroys least. It is `{"rules":
 * {rule: choice}, "objects": {rule: {ref: choice}}}`, both optional, with the codes that the
 * report names under "remedy". What stands in the way gets a remedy in any case, all other
 * findings if one is chosen. Findings in the way that have no remedy, and those for which evidence
 * is missing, are left to a person: `xcp_plan_is_complete` tells. What the join itself loses, such
 * as VMs that will not be imported, is among the plan's losses (`xcp_plan_losses_json`).
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT for
 * unknown rules, choices and objects, and if a snapshot of the report has no pool with a master.
 *
 * Safety:
 * `report` came from this library; `choices_json` is NULL or ends with NUL; `plan` can be written;
 * `error` is NULL or can be written.
 */
xcp_status xcp_plan_join(const xcp_report *report,
                         const char *choices_json,
                         xcp_plan **plan,
                         xcp_error **error);

/**
 * Plans the ejection of a host: what goes with it, what stands against it.
 *
 * `host` is a uuid, a ref or a name that only one host of the snapshot has; the snapshot is of the
 * pool, in scope "everything". What the ejection destroys (`xcp_plan_losses_json`) needs consent
 * in `xcp_run`; preconditions that do not hold are left to a person: `xcp_plan_is_complete` tells.
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
 * snapshot has no such host, or no pool with a master.
 *
 * Safety:
 * `pool` came from this library; `host` ends with NUL; `plan` can be written; `error` is NULL or
 * can be written.
 */
xcp_status xcp_plan_eject(const xcp_snapshot *pool,
                          const char *host,
                          xcp_plan **plan,
                          xcp_error **error);

/**
 * Plans the maintenance of a host: move its VMs away, reboot, wait, enable.
 *
 * `host` is a uuid, a ref or a name that only one host of the snapshot has; the snapshot is of the
 * pool, in scope "everything". VMs that cannot move are left to a person, with their reasons:
 * `xcp_plan_is_complete` tells.
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
 * snapshot has no such host, or no pool with a master.
 *
 * Safety:
 * `pool` came from this library; `host` ends with NUL; `plan` can be written; `error` is NULL or
 * can be written.
 */
xcp_status xcp_plan_maintenance(const xcp_snapshot *pool,
                                const char *host,
                                xcp_plan **plan,
                                xcp_error **error);

/**
 * Plans a hand-over: another host becomes master (`pool.designate_new_master`).
 *
 * Reads the pool, and asks each of its hosts what it is. `host` is a uuid, a ref or a name that
 * only one host has. All that rules it out is left to a person: `xcp_plan_is_complete` tells.
 * `cancel` may be NULL.
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
 * pool has no such host, with XCP_E_CANCELLED, and as reading a pool does.
 *
 * Safety:
 * `pool` came from this library, `cancel` or is NULL; `host` ends with NUL; `plan` can be written;
 * `error` is NULL or can be written.
 */
xcp_status xcp_plan_hand_over(const xcp_client *pool,
                              const char *host,
                              const xcp_cancel *cancel,
                              xcp_plan **plan,
                              xcp_error **error);

/**
 * Plans a hand-over as `xcp_plan_hand_over` does, and asks nobody.
 *
 * `pool` is a snapshot of scope "election", "overview" or more; `evidence_json` is that of
 * `xcp_election_json`, such as `xcp_evidence_json` finds out, to which a person may add under
 * "confirmed" what cannot be asked; NULL is no evidence. `host` is a uuid, a ref or a name that
 * only one host has.
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
 * snapshot has no such host, no pool with a master, or not the hosts of the evidence.
 *
 * Safety:
 * `pool` came from this library; `host` ends with NUL, `evidence_json` too or is NULL; `plan` can
 * be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_hand_over_with(const xcp_snapshot *pool,
                                   const char *evidence_json,
                                   const char *host,
                                   xcp_plan **plan,
                                   xcp_error **error);

/**
 * Loads a plan that `xcp_plan_json` saved.
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT for what
 * is no plan, or one of another schema.
 *
 * Safety:
 * `json` ends with NUL; `plan` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_from_json(const char *json, xcp_plan **plan, xcp_error **error);

/**
 * Saves a plan as JSON.
 *
 * `*json` is `{"schema": 1, "purpose", "pool": {"uuid", "name"}, "host": {"uuid", "name"},
 * "steps": [{"side", "work", "summary", "because", "destroys"}...], "unsolved": [{"rule",
 * "message", "by_person"}...]}`, freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `plan` came from this library; `json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_json(const xcp_plan *plan, char **json, xcp_error **error);

/**
 * Tells the plan as text for people.
 *
 * Its steps, what is left to a person, what is destroyed. `*text` is freed with `xcp_string_free`.
 * From any thread.
 *
 * Safety:
 * `plan` came from this library; `text` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_text(const xcp_plan *plan, char **text, xcp_error **error);

/**
 * Returns how many steps the plan has; 0 for NULL and for what is no plan.
 *
 * From any thread.
 *
 * Safety:
 * `plan` is NULL or came from this library.
 */
size_t xcp_plan_step_count(const xcp_plan *plan);

/**
 * Returns whether nothing is left to a person.
 *
 * False for NULL and for what is no plan. From any thread.
 *
 * Safety:
 * `plan` is NULL or came from this library.
 */
bool xcp_plan_is_complete(const xcp_plan *plan);

/**
 * Tells what is gone for good once the plan has run, with the digest for consent.
 *
 * `*losses_json` is `{"schema": 1, "digest", "losses": [{"kind", "object", ...}...]}`, freed with
 * `xcp_string_free`. Show the losses to a person, and pass the digest on. From any thread.
 *
 * Safety:
 * `plan` came from this library; `losses_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_losses_json(const xcp_plan *plan, char **losses_json, xcp_error **error);

/**
 * Tells the digest of what the plan destroys, by which consent is given.
 *
 * It is of each loss with the step that brings it, on this pool and host: it stands for no other
 * plan that destroys something else, or the same by another call.
 *
 * `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `plan` came from this library; `digest` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_losses_digest(const xcp_plan *plan, char **digest, xcp_error **error);

/**
 * Tells the digest of the whole plan.
 *
 * Plans with equal digests do the same to the same objects. It is the SHA-256 of all that the
 * plan's JSON says, in a notation of which there is only one for each plan: the line `xcp_pool
 * plan v1`, then a string as its length in bytes, a colon and its bytes, an integer as `i` and its
 * digits, `true`, `false`, `null`, a list as `[` and the number of its items, then these, and an
 * object as `{` and the number of its entries, then their names and values in the order of the
 * names' bytes; a line feed after each of these.
 *
 * `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `plan` came from this library; `digest` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_digest(const xcp_plan *plan, char **digest, xcp_error **error);

/**
 * Frees a plan. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `plan` is NULL or came from this library.
 */
void xcp_plan_free(xcp_plan *plan);

/**
 * Tells what each step of a plan needs and brings about, and whether it is done.
 *
 * `pool` and `host` are snapshots of the two sides as they are now; either may be NULL, and then
 * nothing is known of it. `*steps_json` is `{"schema": 1, "steps": [{"side": "pool" | "joiner" |
 * "both", "summary", "preconditions": [{"condition": {...}, "holds": bool | null}...], "effect":
 * {"condition": {...}, "holds": bool | null} | null, "undo": {...} | null}...]}`, freed with
 * `xcp_string_free`. "holds" is null if the snapshot cannot tell. A step whose effect holds is
 * skipped when the plan runs; an effect is null where it is more than one object's state. "undo"
 * is the action that takes the step back, where there is one.
 *
 * From any thread.
 *
 * Safety:
 * `plan` came from this library, `pool` and `host` too or are NULL; `steps_json` can be written;
 * `error` is NULL or can be written.
 */
xcp_status xcp_plan_steps_json(const xcp_plan *plan,
                               const xcp_snapshot *pool,
                               const xcp_snapshot *host,
                               char **steps_json,
                               xcp_error **error);

/**
 * Tells whether a host may join a pool, with all that is in the way.
 *
 * Each finding comes with its way out. Both snapshots are `{class: {ref: record}}` in XAPI's
 * names: the pool's from its master, the host's own from itself. Nothing is invented: what a
 * snapshot lacks shows as findings of severity "unknown".
 *
 * `options_json` may be NULL. It is `{"force": bool, "policy": {"documented": bool, "overrides":
 * {rule: reason}}, "evidence": {...}, "complete_snapshots": bool}`, all optional: `force` asks
 * about `pool.join_force`; `policy` overrides rules by code, and `documented` makes the vendor's
 * documents binding; `complete_snapshots` first fills in what hand-written snapshots leave out
 * with defaults. `evidence` is what the databases do not tell: `"joiner_bridge_backend"`
 * ("openvswitch" or "bridge"), `"editions"` (what the host's licence daemon answers: `[{"title",
 * "order"}...]`, "unreachable", "v6d_failure", "api_v6d_failure", or null if that is not known),
 * `"joiner_host"` (ref), `"joiner_time"`, `"master_time"` (XAPI's datetimes), `"master_address"`.
 *
 * `*report_json` is `{"schema": 1, "verdict": "ready" | "blocked" | "needs-force" | "unknown",
 * "force", "predicted_fault": {"code", "params"} | null, "findings": [{"rule", "severity", "side",
 * "xapi_check", "fault", "objects", "expected", "actual", "message", "remedy",
 * "overridden"}...]}`, findings in the order of XAPI's own checks first. Free it with
 * `xcp_string_free`.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for texts of another form and for unknown
 * options.
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
 * Foretells what in the pool appears, merges, is refused or lost by a join.
 *
 * Snapshots and `options_json` are those of `xcp_preflight_json`. If the preflight with these
 * options predicts that the call is refused, the consequences say so by "refusal", and nothing
 * changes.
 *
 * `*consequences_json` is `{"schema": 1, "call", "refusal": {"code", "params"} | null, "host",
 * "networks", "interfaces", "management", "srs", "sr_count": {"before", "after"}, "pbds", "vdis",
 * "machines", "settings", "cpu", "losses", "left_behind", "swallowed", "after_start", "unknown"}`;
 * a part is null if the snapshots do not suffice for it, and "unknown" says what was missing. It
 * is freed with `xcp_string_free`.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for texts of another form and for unknown
 * options.
 *
 * Safety:
 * The texts end with NUL; `consequences_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_consequences_json(const char *pool_snapshot_json,
                                 const char *host_snapshot_json,
                                 const char *options_json,
                                 char **consequences_json,
                                 xcp_error **error);

/**
 * Tells all rules of the preflight, in the order of reports.
 *
 * XAPI's checks come first, in XAPI's order.
 *
 * `*rules_json` is `{"schema": 1, "rules": [{"rule", "compares", "remedy", "severity", "side",
 * "xapi_check", "formerly", "error", "since", "documented", "reads": [{"side", "class",
 * "records", "fields", "since", "until", "by_call"}...]}...]}`, freed with `xcp_string_free`.
 * "rule" is the code that policies and choices name; "compares" and "remedy" are sentences;
 * "xapi_check" is the function of XAPI that is mirrored and "error" the code that it raises, null
 * for what XAPI does not look at; "formerly" is the check's older name and the release that
 * renamed it, or null; "since" is the release of XAPI that brought the check ("25.8.0"), null if
 * every supported one has it;
 * "documented" says that a policy with "documented" makes the rule binding; "reads" are the fields
 * without which a finding is of severity "unknown", "records" being "each", "all", "local" (the
 * joiner or the pool's master) or "management" (its interface), "since" and "until" the releases
 * between which a check reads them, "by_call" whether an older pool refuses to be asked.
 *
 * From any thread.
 *
 * Safety:
 * `rules_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_rules_json(char **rules_json, xcp_error **error);

/**
 * Tells which hosts of an HA pool survive when links, storage or hosts fail.
 *
 * As the HA daemon decides.
 *
 * `input_json` is one of
 * - a pool in words: `{"hosts": [uuid...]}`, all healthy, or `{"snapshot": {class: {ref: record}},
 *   "complete_snapshots": bool}`, whose dead hosts crashed before; and what happens to it, each of
 *   it optional: `"shut_down": [host...]` (cleanly, before the fault), `"crash": [host...]`,
 *   `"lose_storage": [host...]`, `"cut": [[host, host]...]` (the network between two), `"split":
 *   [[host...]...]` (each group from all others), `"weights": {host: number}`, `"master": host`,
 *   `"base_timeout": seconds`. Hosts are named by uuid; in a snapshot also by ref or by a name
 *   that only one of them has. The outcome has, beside `"schema"`, `"hosts"` (each with its fate
 *   and why), `"rule"`, `"survivors"`, `"fenced"`, `"next_live_set"`, `"election"` (who may be
 *   master), `"wait"` (seconds until anyone may act) and `"timing"` (the timers of the daemon, in
 *   seconds). With `"ask": "objections"` the outcome is `{"schema", "objections": [{"objection",
 *   ..., "message"}...]}`: what there is about the story that cannot be, for which it would be
 *   refused;
 * - the same as views: the fields of the next form and `"hosts": [uuid...]` in the order of the
 *   uuids, `"master": uuid`, `"base_timeout": seconds`, `"ask"`; the outcome is that of a pool in
 *   words;
 * - what each host knows, as bit masks with bit k for host k: `{"n", "weights", "excluded",
 *   "liveset", "running", "hb", "sf", "stale_view"}`; other fields are ignored. The outcome is
 *   `{"schema", "hosts": {"0": {"views_agreed", "survives", "by_rule2", "hb_after", "sf_after",
 *   "proposed_liveset"}...}}` for the hosts that run;
 * - what one host knows, `{"me": index, "weights": [number...], "excluded", "liveset", "own":
 *   {"hb", "sf"}, "heard": [{"hb", "sf"}...], "read": [{"hb", "sf"}...]}`. The outcome is
 *   `{"schema", "agrees": bool, "is_in_best_group": bool, "decision": {...}}`: whether all whom it
 *   hears or sees have its view, whether it is in the best group as far as it sees, and what it
 *   decides now, as above.
 *
 * `*outcome_json` is freed with `xcp_string_free`. From any thread. Fails with XCP_E_INVALID_INPUT
 * for input of another form, and for views that the daemon's rules are not made for.
 *
 * Safety:
 * `input_json` ends with NUL; `outcome_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_partition_json(const char *input_json, char **outcome_json, xcp_error **error);

/**
 * Plays one host's side of the master lock of HA: what it writes, whom it grants.
 *
 * For simulations.
 *
 * `input_json` is `{"me": index, "n": number of hosts, "online": hosts, "events": [event...]}`;
 * sets of hosts are numbers with bit k for host k. An event is `"propose"` (this host wants to be
 * master), `{"read": {"host": index, "request": bool, "grants": hosts}}` (what another host has in
 * the state file), `"update"` (the rules are applied to what was read), `{"online": hosts}` (the
 * live set changed) or `"lose-state-file"`. It is played from the beginning with each call.
 *
 * `*state_json` is `{"schema": 1, "block": {"request": bool, "grants": hosts}, "proposal",
 * "holder": index | null, "proposals": [proposal...]}`: what the host writes to the state file,
 * where its own proposal stands ("none", "pending", "granted" or "refused"), who holds the lock as
 * far as it knows, and where the proposal stood after each event. It is freed with
 * `xcp_string_free`.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for input of another form and more than 64
 * hosts.
 *
 * Safety:
 * `input_json` ends with NUL; `state_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_master_lock_json(const char *input_json, char **state_json, xcp_error **error);

/**
 * Chooses a master: for a hand-over, or for a promotion after the master died.
 *
 * `input_json` is `{"mode": "planned" | "emergency", "snapshot": {class: {ref: record}},
 * "complete_snapshots": bool, "evidence": {"hosts": {host: {"reachable", "reaches": {host: bool},
 * "role": "master" | "broken" | {"slave": address}, "emergency_mode", "ha_armed", "database":
 * {"absent", "generation", "schema": [major, minor], "age", "lineage"}, "powered_off", "vetoed"}},
 * "confirmed": [{"confirm": ..., "host": ref}...]}}`; everything in the evidence is optional, and
 * what is left out is not known, which never counts as "no". Hosts are named by ref, uuid or a
 * name that only one of them has; in "confirmed" as the decision named them under "confirmations".
 *
 * `*decision_json` is `{"schema": 1, "mode", "ranked": [{"host", "eligible": "yes" |
 * "if-confirmed" | "no", "reasons"}...], "recommended": ref | null, "verdict": "safe" |
 * "needs-confirmation" | "unsafe", "confirmations", "follow_up", "data_loss", "hazards",
 * "majority"}`, freed with `xcp_string_free`.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for input of another form, and if the snapshot
 * has no single pool.
 *
 * Safety:
 * `input_json` ends with NUL; `decision_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_election_json(const char *input_json, char **decision_json, xcp_error **error);

/**
 * Chooses a master as `xcp_election_json` does, from a snapshot object.
 *
 * `mode` is "planned" or "emergency"; `evidence_json` may be NULL; it is the "evidence" of
 * `xcp_election_json`, and what `xcp_evidence_json` and `xcp_diagnose` find out. `*decision_json`
 * is as there, freed with `xcp_string_free`.
 *
 * From any thread. Fails as `xcp_election_json`.
 *
 * Safety:
 * `snapshot` came from this library; `mode` ends with NUL, `evidence_json` too or is NULL;
 * `decision_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_election(const xcp_snapshot *snapshot,
                        const char *mode,
                        const char *evidence_json,
                        char **decision_json,
                        xcp_error **error);

/**
 * Asks the planner of HA questions, as the server would answer them, and what-ifs.
 *
 * `input_json` is `{"snapshot": {class: {ref: record}}, "complete_snapshots": bool, "calls":
 * [{"method", "params": [...]}...], "questions": [{"ask", ...}...]}`, or with `"side": {"objects":
 * {class: {ref: record}}}`, which is always completed, in place of the first two; of calls and
 * questions one may be left out. Other fields are ignored.
 *
 * Calls are made as the server answers them. Their methods are those of XAPI without session and
 * pool, and direct questions to the planner:
 * - `pool.ha_failover_plan_exists [n]`: whether every protected VM restarts after n failures;
 * - `pool.ha_compute_max_host_failures_to_tolerate []`, and with other priorities
 *   `pool.ha_compute_hypothetical_max_host_failures_to_tolerate [{vm: priority}]`;
 * - `pool.ha_compute_vm_failover_plan [[host...], [vm...]]`: where the VMs of failed hosts would
 *   go;
 * - `pool.set_ha_host_failures_to_tolerate [pool, n]`;
 * - `host.get_vms_which_prevent_evacuation [host]`: what keeps each VM that cannot leave a host;
 * - `oracle.plan_for_n_failures [n]`: "all", "excluding_non_agile" or "none";
 * - `oracle.compute_max []`, `oracle.all_protected_vms []`, `oracle.update_pool_status []`;
 * - `oracle.host_free_memory [host]`, `oracle.vm_memory [vm]` (bytes);
 * - `oracle.vm_assert_agile [vm]`: "", or the error that says why it is bound to its host.
 *
 * Questions are about the pool as the calls leave it. Hosts and VMs are named by ref, uuid or a
 * name that only one of them has; sizes are bytes, "failures" are numbers of hosts:
 * - `{"ask": "assess"}`: everything at once, `{"protected": [{"vm", "host", "memory",
 *   "not_agile"}...], "hosts": [{"host", "usable", "free"}...], "wanted": plan, "maximum",
 *   "restart", "status", "oddities"}`;
 * - `{"ask": "plan", "failures": n, "change": change}`: whether any n hosts (what the pool is to
 *   tolerate) may fail, after a change if there is one: `{"failures", "status": "all" |
 *   "excluding_non_agile" | "none", "obstacle": {"obstacle", ...} | null}`. A change is
 *   `{"leaving": [{"vm", "host"}...], "arriving": [{"vm", "host"}...], "disabled": [host...],
 *   "failures": n, "protect": [vm...]}`, each optional;
 * - `{"ask": "refusal", "change": change}`: `{"refusal": {"code", "params"} | null}`, the error by
 *   which the server refuses a change that would break its plan;
 * - `{"ask": "maximum", "priorities": {vm: priority}}`: `{"value", "limit", "probes": [plan...]}`,
 *   the most failures that can be tolerated and the questions that led there; with other
 *   priorities if given;
 * - `{"ask": "failure", "hosts": [host...]}`: what HA does if these fail together, `{"failed",
 *   "complete", "groups": [{"order", "starts": [{"vm", "host" | null}...], "delay": seconds}...],
 *   "not_restarted": [{"vm", "why", ...}...], "best_effort", "stay_off"}`;
 * - `{"ask": "restart"}`: the start of protected VMs that are off now, `{"restarts": [{"vm",
 *   "host"}...], "not_restarted": [{"vm", "why", ...}...]}`;
 * - `{"ask": "evacuate", "host": host}`: `{"moves": {vm: host}, "obstacles": {vm: {"code",
 *   "params"}}}`;
 * - `{"ask": "place", "vms": [vm...], "hosts": [host...]}`: where these VMs would go on these
 *   hosts, `{"moves": {vm: host}, "unplaced": [vm...]}`;
 * - `{"ask": "agile", "vm": vm}`: `{"not_agile": {"reason", ...} | null}`;
 * - `{"ask": "host-memory", "host": host}`: `{"free", "free_in_plan"}`, with VMs squeezed and at
 *   their static maximum; `{"ask": "vm-memory", "vm": vm}`: `{"to_evacuate", "to_restart"}`;
 * - what if: `{"ask": "if-host-leaves", "host": host}`, `{"ask": "if-host-disabled", "host":
 *   host}`, `{"ask": "if-host-joins", "like": host, "uuid": text}` (a host like one of the pool),
 *   `{"ask": "if-vm-starts", "vm": vm, "host": host}`, `{"ask": "if-vm-stops", "vm": vm}` and
 *   `{"ask": "if-ha-enabled", "failures": n}`: `{"refusal": {"code", "params"} | null,
 *   "maximum_before", "after": as assess}`.
 *
 * `*outcome_json` is `{"schema": 1, "results": [{"ok": value} | {"error": [code, param...]}...],
 * "pool_after": {"ha_host_failures_to_tolerate", "ha_plan_exists_for", "ha_overcommitted"},
 * "answers": [{"ok": {...}} | {"error": {"code", "params"}}...]}`, a result for each call and an
 * answer for each question in order; what a call writes to the pool, the next one finds there. A
 * method that is not known results in the error MESSAGE_METHOD_UNKNOWN. It is freed with
 * `xcp_string_free`.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for input of another form, for names that no or
 * two objects have, and if the snapshot has no pool.
 *
 * Safety:
 * `input_json` ends with NUL; `outcome_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_failover_json(const char *input_json, char **outcome_json, xcp_error **error);

/**
 * Asks the planner of HA questions of `xcp_failover_json` about a snapshot object.
 *
 * `questions_json` is `{"calls": [...], "questions": [...]}`, of which one may be left out. The
 * snapshot should be of scope "failover" or "everything"; it stays as it is. `*outcome_json` is as
 * there, freed with `xcp_string_free`.
 *
 * From any thread. Fails as `xcp_failover_json`.
 *
 * Safety:
 * `snapshot` came from this library; `questions_json` ends with NUL; `outcome_json` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_failover(const xcp_snapshot *snapshot,
                        const char *questions_json,
                        char **outcome_json,
                        xcp_error **error);

/**
 * Tells whether VMs keep a place when hosts fail, by their sizes alone.
 *
 * As the packer of HA's planner decides.
 *
 * `input_json` is `{"free": [bytes...], "size": [bytes...], "placement": [[vm, host]...],
 * "total_hosts": number, "failures": number, "place": [vm...]}`: memory free on each live host,
 * the size of each VM, which VM is on which host, by index; how many hosts the pool has, dead ones
 * too (as many as are live), how many fail (0), and which VMs are to be placed as things are
 * (none). All but the first two are optional.
 *
 * `*outcome_json` is `{"schema": 1, "heuristic": "approx" | "exhaustive" (how the server decides),
 * "possible": bool, "verdict": "possible" | "too-few-hosts" | "too-few-slots" | "no-size" |
 * "unplaced", "needed", "capacity", "failures": [host...] | null, "vms": [vm...] | null, "plan":
 * [[vm, host]...]}`, freed with `xcp_string_free`: "needed" and "capacity" are counts of VMs and
 * not null for "too-few-slots"; "failures" and "vms" are not null for "unplaced": if these hosts
 * fail in this order, these VMs find no place. "plan" is where the VMs of "place" go, the last
 * placed first.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for input of another form, and for hosts and VMs
 * that there are not.
 *
 * Safety:
 * `input_json` ends with NUL; `outcome_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_packing_json(const char *input_json, char **outcome_json, xcp_error **error);

/**
 * Has a callback hear what the library does, for the whole process.
 *
 * Without it nothing is told. `level` is an `xcp_log_level`: the lines up to it are told.
 * XCP_LOG_OFF or a NULL callback ends it. Each call replaces what the one before set. Lines hold
 * methods of XAPI, addresses, times, names and error codes, and never parameters, passwords, refs
 * of sessions, pool secrets or the bodies of requests and replies.
 *
 * `release` may be NULL; it is called with `ctx` once, after the last use of `ctx`, when the
 * callback was replaced or ended: on the thread that did that, or on one that was just telling
 * something. A `ctx` that comes with the ending call itself is released at once. `release` must
 * not call `xcp_log_set`. If the function fails, `release` is not called, and `ctx` stays the
 * caller's.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for an unknown level, with XCP_E_MISUSE inside
 * of the callback, and with XCP_E_STATE if the library is linked into a program in Rust that has a
 * logger of its own, which hears everything then.
 *
 * Safety:
 * `callback` can be called with `ctx` from every thread until `release` was; `release` can be
 * called once with `ctx` from any thread; `error` is NULL or can be written.
 */
xcp_status xcp_log_set(uint32_t level,
                       xcp_log callback,
                       void *ctx,
                       void (*release)(void *ctx),
                       xcp_error **error);

/**
 * Makes an object that can end calls.
 *
 * `*cancel` is freed with `xcp_cancel_free`. From any thread.
 *
 * Safety:
 * `cancel` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_cancel_new(xcp_cancel **cancel, xcp_error **error);

/**
 * Ends all calls that were or will be given this object.
 *
 * They fail with XCP_E_CANCELLED.
 *
 * A call ends within a fraction of a second, in whatever it is: a request, a wait, a search for a
 * lost master. Only a session that it has just opened and must close gets up to five seconds more.
 * What it asked a server for may have been done. Cannot be taken back. NULL is fine. From any
 * thread, callbacks included.
 *
 * Safety:
 * `cancel` is NULL or came from this library.
 */
void xcp_cancel_cancel(const xcp_cancel *cancel);

/**
 * Frees the object; NULL is fine.
 *
 * Calls that it was given to go on, and cannot be ended by it any more. From any thread.
 *
 * Safety:
 * `cancel` is NULL or came from this library.
 */
void xcp_cancel_free(xcp_cancel *cancel);

/**
 * Adds bytes to the body of a reply.
 *
 * It may be called many times, as the body arrives. The bytes are copied. Call it once with length
 * 0 for a body that is empty. From any thread. Fails with XCP_E_TOO_LARGE beyond the limit of the
 * request, and with XCP_E_MISUSE after `xcp_reply_error`.
 *
 * Safety:
 * `reply` came from this library; `length` bytes can be read from `bytes`, which may be NULL if
 * there are none; `error` is NULL or can be written.
 */
xcp_status xcp_reply_body(const xcp_reply *reply,
                          const uint8_t *bytes,
                          size_t length,
                          xcp_error **error);

/**
 * Says that there is no reply, and why.
 *
 * What `xcp_reply_body` was given before counts no more. `code` is what the call shall fail with:
 * XCP_E_TRANSPORT, XCP_E_TIMEOUT, XCP_E_TRUST, XCP_E_PROTOCOL, XCP_E_TOO_LARGE or XCP_E_CANCELLED.
 * From any thread. Fails with XCP_E_INVALID_INPUT for another code.
 *
 * Safety:
 * `reply` came from this library; `message` ends with NUL; `error` is NULL or can be written.
 */
xcp_status xcp_reply_error(const xcp_reply *reply,
                           uint32_t code,
                           const char *message,
                           xcp_error **error);

/**
 * Trusts certificates that one of these authorities signed for their name.
 *
 * `pem` is one or more certificates in PEM form; a self-signed host certificate may be its own
 * authority. `*store` is freed with `xcp_trust_store_free`. From any thread. Fails with
 * XCP_E_INVALID_INPUT for what is no certificate.
 *
 * Safety:
 * `pem` ends with NUL; `store` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_authorities(const char *pem, xcp_trust_store **store, xcp_error **error);

/**
 * Trusts certificates that one of the authorities in a file signed for their name.
 *
 * As `xcp_trust_store_authorities` does. `*store` is freed with `xcp_trust_store_free`. From any
 * thread. Fails with XCP_E_INVALID_INPUT if the file cannot be read or has no certificate.
 *
 * Safety:
 * `path` ends with NUL; `store` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_authorities_file(const char *path,
                                            xcp_trust_store **store,
                                            xcp_error **error);

/**
 * Trusts certificates with one of these SHA-256 fingerprints, whoever signed them.
 *
 * `pins_json` is `["SHA256:4B:8F:...", ...]`; what openssl prints and what XAPI stores is read,
 * too. `*store` is freed with `xcp_trust_store_free`. From any thread. Fails with
 * XCP_E_INVALID_INPUT for what is no fingerprint.
 *
 * Safety:
 * `pins_json` ends with NUL; `store` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_pins(const char *pins_json, xcp_trust_store **store, xcp_error **error);

/**
 * Trusts the certificate that each host shows first, and remembers it in a file.
 *
 * The file need not exist yet; it is made for its owner alone, and refused if others may write to
 * it. Many processes may use one file. `*store` is freed with `xcp_trust_store_free`. From any
 * thread.
 *
 * Safety:
 * `path` ends with NUL; `store` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_file(const char *path, xcp_trust_store **store, xcp_error **error);

/**
 * Trusts the certificate that each host shows first.
 *
 * Remembers it as long as the store is used. `*store` is freed with `xcp_trust_store_free`. From
 * any thread.
 *
 * Safety:
 * `store` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_memory(xcp_trust_store **store, xcp_error **error);

/**
 * Trusts the certificate that each host shows first, as callbacks remember it.
 *
 * The table is copied. If the function fails, `release` is not called, and `ctx` stays the
 * caller's. `*store` is freed with `xcp_trust_store_free`. From any thread. Fails with
 * XCP_E_INVALID_INPUT for a table without callbacks or with a wrong size.
 *
 * Safety:
 * `callbacks` leads to as many bytes as its `size` says; the callbacks can be called with `ctx`
 * from every thread until `release` was; `store` can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_trust_store_custom(const xcp_trust_callbacks *callbacks,
                                  xcp_trust_store **store,
                                  xcp_error **error);

/**
 * Trusts any certificate.
 *
 * Whoever is on the way can be the host, and gets the password. `*store` is freed with
 * `xcp_trust_store_free`. From any thread.
 *
 * Safety:
 * `store` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_danger_accept_any(xcp_trust_store **store, xcp_error **error);

/**
 * Tells what a store that remembers in a file remembers.
 *
 * `*pins_json` is `{"schema": 1, "pins": {"phantom.lan:443": "SHA256:4B:8F:..."}}`, freed with
 * `xcp_string_free`. From any thread. Fails with XCP_E_INVALID_INPUT for another store, or if the
 * file cannot be read.
 *
 * Safety:
 * `store` came from this library; `pins_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_pins_json(const xcp_trust_store *store,
                                     char **pins_json,
                                     xcp_error **error);

/**
 * Makes a store that remembers in a file forget a host.
 *
 * The next certificate of that host is then trusted. `host` is named with its port, as
 * "phantom.lan:443". From any thread. Fails with XCP_E_INVALID_INPUT for another store, or if the
 * file cannot be written.
 *
 * Safety:
 * `store` came from this library; `host` ends with NUL; `error` is NULL or can be written.
 */
xcp_status xcp_trust_store_forget(const xcp_trust_store *store,
                                  const char *host,
                                  xcp_error **error);

/**
 * Tells the SHA-256 fingerprint of a certificate in DER form, as pins are written.
 *
 * `*fingerprint` is "SHA256:4B:8F:...", freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `length` bytes can be read from `certificate`; `fingerprint` can be written; `error` is NULL or
 * can be written.
 */
xcp_status xcp_fingerprint(const uint8_t *certificate,
                           size_t length,
                           char **fingerprint,
                           xcp_error **error);

/**
 * Frees a store. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `store` is NULL or came from this library.
 */
void xcp_trust_store_free(xcp_trust_store *store);

/**
 * Makes a transport to real hosts: JSON-RPC over HTTPS.
 *
 * Connections are kept and shared. `trust` says which certificates are trusted; NULL means those
 * of the system's authorities. `options_json` may be NULL. It is `{"connect_timeout": seconds,
 * "stall_timeout": seconds, "timeout": seconds, "proxy_from_environment": bool,
 * "danger_allow_plain_http": bool}`, all optional: how long a connection may take (10), how long a
 * reply may stop in the middle (30), how long any request may take at most (as long as the call
 * allows), and whether the proxy is taken from HTTPS_PROXY and its like (no), and whether
 * addresses with http:// are allowed, on which everybody on the way can read the password (no).
 *
 * `*transport` is freed with `xcp_transport_free`. From any thread. Fails with XCP_E_INVALID_INPUT
 * for unknown options, or if the system has no certificate authorities and they are wanted.
 *
 * Safety:
 * `options_json` is NULL or ends with NUL; `trust` is NULL or came from this library; `transport`
 * can be written; `error` is NULL or can be written.
 */
xcp_status xcp_transport_https(const char *options_json,
                               const xcp_trust_store *trust,
                               xcp_transport **transport,
                               xcp_error **error);

/**
 * Remembers the certificates that a snapshot has of hosts, and counts the hosts.
 *
 * For trust on first use: the master, which is trusted already, vouches for its members before one
 * of them has to be asked, in the hour when the master is gone. The snapshot is of scope
 * "preflight" or "everything"; hosts are remembered under their addresses and `port`, 443 for real
 * ones. With any other trust, and for transports that are not HTTPS, there is nothing to remember.
 *
 * From any thread. Fails with XCP_E_TRUST if another certificate is remembered of one of the hosts
 * (`xcp_error_mismatch_json`); the others are remembered all the same.
 *
 * Safety:
 * `transport` and `snapshot` came from this library; `count` can be written; `error` is NULL or
 * can be written.
 */
xcp_status xcp_transport_remember_members(const xcp_transport *transport,
                                          const xcp_snapshot *snapshot,
                                          uint16_t port,
                                          size_t *count,
                                          xcp_error **error);

/**
 * Frees a transport. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `transport` is NULL or came from this library.
 */
void xcp_transport_free(xcp_transport *transport);

/**
 * Makes a transport of the caller's callbacks.
 *
 * The table is copied. If the function fails, `release` is not called, and `ctx` stays the
 * caller's.
 *
 * `*transport` is freed with `xcp_transport_free`. From any thread. Fails with XCP_E_INVALID_INPUT
 * for a table without `exchange` or with a wrong size.
 *
 * Safety:
 * `callbacks` leads to as many bytes as its `size` says; the callbacks can be called with `ctx`
 * from every thread until `release` was; `transport` can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_transport_custom(const xcp_transport_callbacks *callbacks,
                                xcp_transport **transport,
                                xcp_error **error);

/**
 * Returns where the request is to be posted, such as "https://10.0.0.1/jsonrpc".
 *
 * NULL for what is no request (any more). Belongs to the request. From any thread.
 *
 * Safety:
 * `request` is NULL or came from this library.
 */
const char *xcp_request_url(const xcp_request *request);

/**
 * Returns the bytes to post, and how many there are in `*length`.
 *
 * NULL for what is no request (any more). They do not end with NUL. They may hold a password: do
 * not log them. Belongs to the request. From any thread.
 *
 * Safety:
 * `request` is NULL or came from this library; `length` can be written.
 */
const uint8_t *xcp_request_body(const xcp_request *request, size_t *length);

/**
 * Returns how many milliseconds the exchange may take from now on.
 *
 * To the last byte of the reply; 0 for what is no request (any more). From any thread.
 *
 * Safety:
 * `request` is NULL or came from this library.
 */
uint64_t xcp_request_timeout_ms(const xcp_request *request);

/**
 * Returns how many bytes the reply may have; 0 for what is no request (any more).
 *
 * From any thread.
 *
 * Safety:
 * `request` is NULL or came from this library.
 */
uint64_t xcp_request_max_reply(const xcp_request *request);

/**
 * Returns whether the call was cancelled that needs the reply: then give up.
 *
 * True for what is no request (any more). From any thread.
 *
 * Safety:
 * `request` is NULL or came from this library.
 */
bool xcp_request_is_cancelled(const xcp_request *request);

/**
 * Makes the world of the story: the pool of Phantom, which Ignite should join.
 *
 * Phantom is the master of a pool with six SRs. Ignite stands in its own way: it has a halted and
 * a running VM, a network on a VLAN and an NFS SR. Both run XCP-ng 8.3, at the addresses "phantom"
 * (10.0.0.1) and "ignite" (10.0.0.2); the password of "root" is "xcp-test". Worlds of one `seed`
 * are alike, ids included.
 *
 * `*simulator` is freed with `xcp_simulator_free`. From any thread.
 *
 * Safety:
 * `simulator` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_story(uint64_t seed, xcp_simulator **simulator, xcp_error **error);

/**
 * Makes a world from a description.
 *
 * `spec_json` is `{"seed": number, "password": text, "driven": bool, "timings": {name: seconds},
 * "story": {"phantom": address, "ignite": address}, "pools": [pool...]}`, all optional; there must
 * be a story or a pool. "seed" and "password" are as for `xcp_simulator_story`, which "story" adds
 * the hosts of, at these addresses. In a "driven" world waiting does not move the clock: another
 * thread does (`xcp_simulator_advance`). "timings" are how long things take: "boot" (60), "fuse"
 * (10), "latency" (0.001), "migrate" (10), "reinstall" (120), "restart" (1), "settle" (0.3),
 * "shutdown" (5), "start" (3), "start_member" (0.9), "start_new_member" (7) and "suspend" (5). A
 * pool is in words, `{"name": text, "release": "8.2" | "8.3" | "newest", "hosts": [{"name",
 * "address"}...], "nics": number, "memory_gib": number, "shared_srs": [{"name", "type"}...],
 * "networks": [name...], "vlans": [{"name", "nic", "tag"}...], "bonds": [{"name", "nics":
 * [number...]}...], "vms": [{"name", "power": "halted" | "running" | "suspended", "host",
 * "memory_gib", "disks": [{"sr", "gib"}...], "networks": [name...]}...], "edit": {class: {ref:
 * {field: value} | null}}}`, of which only the hosts must be there: the first is the master, a
 * host of its own is a pool without a name, and "edit" changes the finished database as
 * `xcp_simulator_act` does. Or it is a database, `{"release", "database": {class: {ref:
 * record}}}`, such as a saved snapshot.
 *
 * `*simulator` is freed with `xcp_simulator_free`. From any thread. Fails with XCP_E_INVALID_INPUT
 * if a pool names what it does not have, and for unknown fields.
 *
 * Safety:
 * `spec_json` ends with NUL; `simulator` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_new(const char *spec_json, xcp_simulator **simulator, xcp_error **error);

/**
 * Makes a transport to the hosts of a world.
 *
 * Hosts are reached at their names and addresses. Waits on it take no real time. `*transport` is
 * freed with `xcp_transport_free`. From any thread.
 *
 * Safety:
 * `simulator` came from this library; `transport` can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_transport_simulator(const xcp_simulator *simulator,
                                   xcp_transport **transport,
                                   xcp_error **error);

/**
 * Returns how many seconds have passed in the world since it began.
 *
 * 0 for what is no simulator. From any thread.
 *
 * Safety:
 * `simulator` is NULL or came from this library.
 */
double xcp_simulator_now(const xcp_simulator *simulator);

/**
 * Lets time pass in the world; what becomes due happens.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for a time that is negative or no number.
 *
 * Safety:
 * `simulator` came from this library; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_advance(const xcp_simulator *simulator, double seconds, xcp_error **error);

/**
 * Cuts a host's power.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
 *
 * Safety:
 * `simulator` came from this library; `host` ends with NUL; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_power_off(const xcp_simulator *simulator,
                                   const char *host,
                                   xcp_error **error);

/**
 * Gives a host power; it boots.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
 *
 * Safety:
 * `simulator` came from this library; `host` ends with NUL; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_power_on(const xcp_simulator *simulator,
                                  const char *host,
                                  xcp_error **error);

/**
 * Restarts the toolstack of a host.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
 *
 * Safety:
 * `simulator` came from this library; `host` ends with NUL; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_restart_toolstack(const xcp_simulator *simulator,
                                           const char *host,
                                           xcp_error **error);

/**
 * Cuts the network between two hosts.
 *
 * NULL stands for the tool that looks at the world from outside. From any thread. Fails with
 * XCP_E_INVALID_INPUT for an unknown host.
 *
 * Safety:
 * `simulator` came from this library; `one` and `other` are NULL or end with NUL; `error` is NULL
 * or can be written.
 */
xcp_status xcp_simulator_cut(const xcp_simulator *simulator,
                             const char *one,
                             const char *other,
                             xcp_error **error);

/**
 * Mends the network between two hosts.
 *
 * NULL stands for the tool that looks at the world from outside. From any thread. Fails with
 * XCP_E_INVALID_INPUT for an unknown host.
 *
 * Safety:
 * `simulator` came from this library; `one` and `other` are NULL or end with NUL; `error` is NULL
 * or can be written.
 */
xcp_status xcp_simulator_heal(const xcp_simulator *simulator,
                              const char *one,
                              const char *other,
                              xcp_error **error);

/**
 * Has requests go wrong.
 *
 * `rule_json` is `{"trouble": trouble, "host": name, "method": name, "skip": number, "times":
 * number}`, all but the first optional: what befalls the next `times` (1) requests to that host
 * (any) of that method (any), after `skip` (0) of them have passed. `trouble` is "kill-before"
 * (the host's power fails before it looks at the request), "kill-after" (before it can answer),
 * "lose-reply" (it is carried out, the connection breaks), "cut-reply" (it breaks in the middle of
 * the reply), "refuse" (the connection is refused), "reset" (it breaks before the request was
 * read), "silence" (it is carried out, no answer comes), `{"delay": seconds}` (it arrives later),
 * `{"slow-reply": seconds}` (the reply comes in small pieces over that time) or `{"stall-reply":
 * seconds}` (half of it comes, and the rest after that time).
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for unknown hosts, troubles and fields.
 *
 * Safety:
 * `simulator` came from this library; `rule_json` ends with NUL; `error` is NULL or can be
 * written.
 */
xcp_status xcp_simulator_trouble(const xcp_simulator *simulator,
                                 const char *rule_json,
                                 xcp_error **error);

/**
 * Counts the objects of a class in the database that a host works on.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host; counts 0 for an unknown
 * class, and if the host cannot reach its master.
 *
 * Safety:
 * `simulator` came from this library; `host` and `class_name` end with NUL; `count` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_count(const xcp_simulator *simulator,
                               const char *host,
                               const char *class_name,
                               size_t *count,
                               xcp_error **error);

/**
 * Tells what a host takes itself for, whatever the databases say.
 *
 * `*host_json` is `{"schema": 1, "role": "master" | "slave" | "broken", "master": address | null,
 * "emergency": {"code", "params"} | null, "network_backend", "address", "power": bool, "running":
 * bool, "configured": {"role", "master"}, "pool_uuid": uuid | null, "ha": {...} | null,
 * "ignored_errors": [{"code", "params"}...]}`, freed with `xcp_string_free`. "running" is whether
 * its toolstack runs, "configured" is what it will take itself for at its next start, "pool_uuid"
 * is null while it cannot reach its master, "ignored_errors" are those of its last `pool.join`
 * that nobody hears of. "ha", if its pool has HA, is `{"armed", "online", "live_set": [name...],
 * "hears": [name...], "sees": [name...], "handles_fault", "without_storage", "holds_lock",
 * "master": name | null}`. From any thread. Fails with XCP_E_INVALID_INPUT for an unknown host.
 *
 * Safety:
 * `simulator` came from this library; `host` ends with NUL; `host_json` can be written; `error` is
 * NULL or can be written.
 */
xcp_status xcp_simulator_host_json(const xcp_simulator *simulator,
                                   const char *host,
                                   char **host_json,
                                   xcp_error **error);

/**
 * Tells the whole database that a host works on, as `{class: {ref: record}}`.
 *
 * It is a snapshot for `xcp_snapshot_from_json`, and a database for `xcp_simulator_new`.
 * `*database_json` is freed with `xcp_string_free`. From any thread. Fails with
 * XCP_E_INVALID_INPUT for an unknown host, and with XCP_E_FAULT if the host cannot reach its
 * master.
 *
 * Safety:
 * `simulator` came from this library; `host` ends with NUL; `database_json` can be written;
 * `error` is NULL or can be written.
 */
xcp_status xcp_simulator_database_json(const xcp_simulator *simulator,
                                       const char *host,
                                       char **database_json,
                                       xcp_error **error);

/**
 * Frees a simulator; the world goes on for the transports to it. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `simulator` is NULL or came from this library.
 */
void xcp_simulator_free(xcp_simulator *simulator);

/**
 * Serves the hosts of a world on sockets of this machine.
 *
 * This ends when the front is freed. Hosts answer as xapi does: JSON-RPC at "/jsonrpc", XML-RPC
 * elsewhere; a host without power refuses connections. As long as it is served the world's time
 * follows real time.
 *
 * `options_json` may be NULL. It is `{"http": port, "https": port, "address": ip,
 * "at_own_addresses": bool, "host_addresses": {host: ip}, "speed": number, "header_timeout":
 * seconds, "total_header_timeout": seconds, "certificate": pem, "host_certificates": {host:
 * pem}}`, all optional: the ports (0 is any that is free; if neither is given, both are served at
 * free ones), the address of all hosts (127.0.0.1), whether each is served at the address that it
 * has in the world, or some at addresses of their own; how many seconds pass in the world in a
 * real one (1); how long the head of a first request may take, until its next bytes (10) and in
 * all (60); key and certificate as PEM in one text (a self-signed one whose key is public).
 *
 * `*front` is freed with `xcp_front_free`; the simulator may be freed before. From any thread.
 * Fails with XCP_E_TRANSPORT if an address cannot be listened at, with XCP_E_INVALID_INPUT for
 * unknown options and hosts, a speed that is not positive and certificates that cannot be used.
 *
 * Safety:
 * `simulator` came from this library; `options_json` is NULL or ends with NUL; `front` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_front_start(const xcp_simulator *simulator,
                           const char *options_json,
                           xcp_front **front,
                           xcp_error **error);

/**
 * Tells where the hosts are served.
 *
 * `*hosts_json` is `{"schema": 1, "hosts": [{"name", "address", "http": "ip:port" | null,
 * "https": "ip:port" | null, "url", "fingerprint": "SHA256:..." | null}...],
 * "addresses": {address: url}}`, freed with `xcp_string_free`: "url" is what `xcp_client_connect`
 * takes, "fingerprint" what `xcp_trust_store_pins` takes, and "addresses" what clients take as an
 * option of that name, since hosts name each other by their addresses in the world. From any
 * thread.
 *
 * Safety:
 * `front` came from this library; `hosts_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_front_hosts_json(const xcp_front *front, char **hosts_json, xcp_error **error);

/**
 * Returns how many calls were served, with those that went wrong.
 *
 * 0 for NULL and for what is no front. From any thread.
 *
 * Safety:
 * `front` is NULL or came from this library.
 */
uint64_t xcp_front_served(const xcp_front *front);

/**
 * Returns how many connections are open; 0 for NULL and for what is no front.
 *
 * From any thread.
 *
 * Safety:
 * `front` is NULL or came from this library.
 */
size_t xcp_front_connections(const xcp_front *front);

/**
 * Ends a front and frees it. NULL is fine.
 *
 * Calls that wait are broken off; once this returns the ports are free and its threads have ended.
 * From any thread.
 *
 * Safety:
 * `front` is NULL or came from this library.
 */
void xcp_front_free(xcp_front *front);

/**
 * Does something to a world, now or later; several things happen at one moment.
 *
 * `act_json` is an act or a list of acts; each may have `"after": seconds`, and then happens when
 * that time has passed. Hosts are named by name or address; where a peer is asked for, null is the
 * tool that looks at the world from outside. An act is one of
 * - `{"act": "power-off", "host"}`, `{"act": "power-on", "host"}`, `{"act": "restart-toolstack",
 *   "host"}`;
 * - `{"act": "cut", "one", "other"}`, `{"act": "heal", "one", "other"}`: the network between two,
 *   both ways;
 * - `{"act": "cut-one-way", "from", "to"}`: no packet passes from one to the other, but still the
 *   other way;
 * - `{"act": "cut-state-file", "host"}`, `{"act": "heal-state-file", "host"}`: the host's way to
 *   the state file of HA;
 * - `{"act": "set-network-backend", "host", "backend"}`: what the network daemon uses, without a
 *   word in the host's records;
 * - `{"act": "break-bridge-change", "host", "fault": {"code", "params"}}`: the host cannot rename
 *   the bridge of its management VLAN, at which its `pool.join` fails with this error;
 * - `{"act": "edit", "host", "database": {class: {ref: {field: value} | null}}}`: writes the
 *   fields into the database that the host works on, past all checks; makes objects that are not
 *   there, and removes those with null.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for unknown acts, hosts, classes and fields and
 * values of another type; nothing has happened then but what came before an edit that fails. An
 * edit that fails later is not told.
 *
 * Safety:
 * `simulator` came from this library; `act_json` ends with NUL; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_act(const xcp_simulator *simulator,
                             const char *act_json,
                             xcp_error **error);

/**
 * Does the next thing that is due in the world, and tells whether there was one.
 *
 * `until` is in seconds since the world began (`xcp_simulator_now`). Called until `*done` is false
 * this looks at the world after every single event. From any thread. Fails with
 * XCP_E_INVALID_INPUT for a time that is negative or no number.
 *
 * Safety:
 * `simulator` came from this library; `done` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_simulator_step(const xcp_simulator *simulator,
                              double until,
                              bool *done,
                              xcp_error **error);

/**
 * Tells the world from above.
 *
 * `*state_json` is `{"schema": 1, "now": seconds, "masters": [name...], "lock_holders": [name...],
 * "fenced": [{"at": seconds, "host", "cause": "lost" | "requested" | "watchdog", "by": name |
 * null}...], "requests": {method: number}, "sent", "writes", "sessions": [ref...]}`, freed with
 * `xcp_string_free`: who serves as master (one for each pool, if all is well), who takes itself
 * for the holder of the master lock of HA, whom HA fenced, requests that reached a host by method
 * and those sent to anybody, how often objects were written (sessions and tasks left out), and the
 * sessions that are open, local ones included. From any thread.
 *
 * Safety:
 * `simulator` came from this library; `state_json` can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_simulator_state_json(const xcp_simulator *simulator,
                                    char **state_json,
                                    xcp_error **error);

/**
 * Logs in at a host, or at the master that the host names.
 *
 * `address` is a name or IP address, with a port or a scheme if need be. `options_json` may be
 * NULL; it is `{"originator": text, "pool_uuid": text, "timeout": seconds, "max_reply": bytes,
 * "addresses": {address: real address}, "members": [address...], "patience": seconds}`, all
 * optional: who the server is told to be talking to, the only pool that is accepted, how long a
 * call may take (60), how large a reply may be (512 MiB), where hosts really are that others call
 * by an address (NAT, tunnels), where else to look for the pool when the master does not answer,
 * and for how long. `cancel` may be NULL.
 *
 * `*client` is freed with `xcp_client_free`; `transport` may be freed at once. From any thread.
 * Fails with XCP_E_FAULT for what the server raises (SESSION_AUTHENTICATION_FAILED for a wrong
 * password), XCP_E_TRANSPORT, XCP_E_TIMEOUT, XCP_E_TRUST and XCP_E_PROTOCOL for what keeps the
 * host from being asked, XCP_E_STATE for another pool than `pool_uuid` or if no host says that it
 * is the master.
 *
 * Safety:
 * The texts end with NUL, `options_json` or is NULL; `transport` came from this library, `cancel`
 * or is NULL; `client` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_client_connect(const xcp_transport *transport,
                              const char *address,
                              const char *user,
                              const char *password,
                              const char *options_json,
                              const xcp_cancel *cancel,
                              xcp_client **client,
                              xcp_error **error);

/**
 * Ends all calls that are going on, on this client and its views.
 *
 * They fail with XCP_E_CANCELLED. Later calls are not affected. NULL is fine. From any thread.
 *
 * Safety:
 * `client` is NULL or came from this library.
 */
void xcp_client_cancel(const xcp_client *client);

/**
 * Tells the master's address as a URL, as it is known now.
 *
 * `*url` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `client` came from this library; `url` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_client_endpoint(const xcp_client *client, char **url, xcp_error **error);

/**
 * Tells the uuid of the pool that the client belongs to.
 *
 * `cancel` may be NULL. `*uuid` is freed with `xcp_string_free`. From any thread. Fails as
 * `xcp_client_call_json`, if the pool must be asked.
 *
 * Safety:
 * `client` came from this library, `cancel` or is NULL; `uuid` can be written; `error` is NULL or
 * can be written.
 */
xcp_status xcp_client_pool_uuid(const xcp_client *client,
                                const xcp_cancel *cancel,
                                char **uuid,
                                xcp_error **error);

/**
 * Reads a snapshot of the pool, in one request.
 *
 * `scope` is "overview" (hosts, storage and networks), "preflight" (what decides about a join),
 * "election" (who can become master), "failover" (what decides how many hosts may fail) or
 * "everything", or a JSON list of classes, `["pool", "host", "SR"]`. A snapshot is nearly a cut:
 * objects that change while the server reads may be told as they were a moment before or after; if
 * `settled`, the pool is asked again until nothing changes any more, which scopes can be and lists
 * cannot. `cancel` may be NULL.
 *
 * `*snapshot` is freed with `xcp_snapshot_free`. From any thread. Fails as `xcp_client_call_json`,
 * and with XCP_E_STATE if the pool does not come to rest.
 *
 * Safety:
 * `client` came from this library, `cancel` or is NULL; `scope` ends with NUL; `snapshot` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_client_snapshot(const xcp_client *client,
                               const char *scope,
                               bool settled,
                               const xcp_cancel *cancel,
                               xcp_snapshot **snapshot,
                               xcp_error **error);

/**
 * Calls a method of XAPI.
 *
 * `method` is XAPI's name, such as "host.get_by_name_label"; `params_json` is a JSON array of the
 * parameters without the session, or NULL for none. `*result_json` is what the server answered, as
 * it is (so without "schema"; an empty text if the method has no result); it is freed with
 * `xcp_string_free`. `cancel` may be NULL.
 *
 * Reads are sent once more if the connection breaks, and calls that a server refuses before it
 * does anything if the session is gone; other writes are sent once.
 *
 * From any thread. Fails with XCP_E_FAULT for what the server raises; after XCP_E_TRANSPORT,
 * XCP_E_TIMEOUT and XCP_E_CANCELLED a write may have been done: read the pool's state.
 *
 * Safety:
 * `client` came from this library, `cancel` or is NULL; the texts end with NUL, `params_json` or
 * is NULL; `result_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_client_call_json(const xcp_client *client,
                                const char *method,
                                const char *params_json,
                                const xcp_cancel *cancel,
                                char **result_json,
                                xcp_error **error);

/**
 * Makes a view of a client: its session, with other limits for calls.
 *
 * `options_json` may be NULL; it is `{"timeout": seconds, "max_reply": bytes}`, how long a call
 * may take and how large a reply may be; what is missing is as for `client`. Nobody is asked and
 * nobody logs in. Some calls need more than the usual minute: what a master forwards to a member
 * that has just died fails after 100 s. Others should take less: a program that ends has no minute
 * for a last look.
 *
 * `*view` is freed with `xcp_client_free`; `client` may be freed before: the session ends with the
 * last of them. From any thread. Fails with XCP_E_INVALID_INPUT for unknown options.
 *
 * Safety:
 * `client` came from this library; `options_json` is NULL or ends with NUL; `view` can be written;
 * `error` is NULL or can be written.
 */
xcp_status xcp_client_view(const xcp_client *client,
                           const char *options_json,
                           xcp_client **view,
                           xcp_error **error);

/**
 * Frees a client, and logs out, unless views, watches or tasks of it are left.
 *
 * The server is given five seconds to hear of it. If another thread is in a call on it, it ends
 * when that call does. NULL is fine. From any thread.
 *
 * Safety:
 * `client` is NULL or came from this library.
 */
void xcp_client_free(xcp_client *client);

/**
 * Runs a method of XAPI as a task and waits for its end.
 *
 * As `xcp_client_call_json`, for methods that take long: `method` is named without "Async.".
 * `progress` may be NULL; it is called with `ctx` whenever the task has come further. Cancelling
 * ends the wait, and leaves the task running.
 *
 * From any thread. Fails as `xcp_client_call_json`, with XCP_E_FAULT if the task failed, or was
 * cancelled on the server (TASK_CANCELLED), and with XCP_E_OUTCOME_UNKNOWN if its end cannot be
 * known any more, for example because the master restarted: read the pool's state.
 *
 * Safety:
 * As for `xcp_client_call_json`; `progress` can be called with `ctx` until the call returns.
 */
xcp_status xcp_client_task_json(const xcp_client *client,
                                const char *method,
                                const char *params_json,
                                xcp_task_progress progress,
                                void *ctx,
                                const xcp_cancel *cancel,
                                char **result_json,
                                xcp_error **error);

/**
 * Starts a method of XAPI as a task, and does not wait for it.
 *
 * As `xcp_client_task_json`: `method` is named without "Async.". `cancel` may be NULL; it ends
 * this call and not the task. `*task` is freed with `xcp_task_free`; the client may be freed
 * before. From any thread. Fails as `xcp_client_call_json`.
 *
 * Safety:
 * As for `xcp_client_call_json`; `task` can be written.
 */
xcp_status xcp_client_start(const xcp_client *client,
                            const char *method,
                            const char *params_json,
                            const xcp_cancel *cancel,
                            xcp_task **task,
                            xcp_error **error);

/**
 * Returns the task's ref; NULL for NULL and for what is no task.
 *
 * Belongs to the task, and lives as long as it. From any thread.
 *
 * Safety:
 * `task` is NULL or came from this library.
 */
const char *xcp_task_ref(const xcp_task *task);

/**
 * Tells the task as it stands, in XAPI's names.
 *
 * `*record_json` is `{"schema": 1, "status": "pending" | ..., "progress": 0 to 1, ...}`, freed
 * with `xcp_string_free`. `cancel` may be NULL. From any thread. Fails as `xcp_client_call_json`,
 * and with XCP_E_FAULT (HANDLE_INVALID) if the task is gone: its end was seen, or a day has
 * passed.
 *
 * Safety:
 * `task` came from this library, `cancel` or is NULL; `record_json` can be written; `error` is
 * NULL or can be written.
 */
xcp_status xcp_task_record_json(const xcp_task *task,
                                const xcp_cancel *cancel,
                                char **record_json,
                                xcp_error **error);

/**
 * Asks the server to cancel the task.
 *
 * Many operations never look whether they should end. `cancel` may be NULL; it ends this call.
 * From any thread. Fails as `xcp_client_call_json`.
 *
 * Safety:
 * `task` came from this library, `cancel` or is NULL; `error` is NULL or can be written.
 */
xcp_status xcp_task_cancel(const xcp_task *task, const xcp_cancel *cancel, xcp_error **error);

/**
 * Waits for the task's end, and removes it from the server then.
 *
 * `progress` may be NULL; it is called with `ctx` whenever the task has come further. `cancel` may
 * be NULL; it ends the wait, and leaves the task running: waiting again goes on. `*result_json` is
 * as for `xcp_client_task_json`, freed with `xcp_string_free`.
 *
 * From any thread. Fails with XCP_E_FAULT if the task failed, or was cancelled on the server
 * (TASK_CANCELLED), with XCP_E_OUTCOME_UNKNOWN if its end cannot be known any more, for example
 * because the master restarted: read the pool's state; and with XCP_E_CANCELLED.
 *
 * Safety:
 * `task` came from this library, `cancel` or is NULL; `progress` can be called with `ctx` until
 * the call returns; `result_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_task_wait_json(const xcp_task *task,
                              xcp_task_progress progress,
                              void *ctx,
                              const xcp_cancel *cancel,
                              char **result_json,
                              xcp_error **error);

/**
 * Frees a task, which goes on in the server. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `task` is NULL or came from this library.
 */
void xcp_task_free(xcp_task *task);

/**
 * Asks one host what it is, by logging in there and nowhere else.
 *
 * `options_json` may be NULL; it is `{"timeout": seconds, "max_reply": bytes}`, the limits of the
 * whole question (60, 512 MiB). `cancel` may be NULL. `*role_json` is `{"schema": 1, "role":
 * "master" | "member", "pool": uuid | null, "master": address | null}`, freed with
 * `xcp_string_free`: "pool" is that of a master (a host of its own is the master of a pool of its
 * own), "master" that of a member, which may be long dead.
 *
 * From any thread. Fails with what keeps the host from saying it: `xcp_error_login_failure` tells
 * a host that starts from one that has lost its pool, or is not there.
 *
 * Safety:
 * `transport` came from this library, `cancel` or is NULL; the texts end with NUL, `options_json`
 * or is NULL; `role_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_probe_json(const xcp_transport *transport,
                          const char *address,
                          const char *user,
                          const char *password,
                          const char *options_json,
                          const xcp_cancel *cancel,
                          char **role_json,
                          xcp_error **error);

/**
 * Logs in at one host alone (`session.slave_local_login_with_password`).
 *
 * `options_json` may be NULL; it is `{"timeout": seconds, "max_reply": bytes}`, the limits of each
 * call (60, 512 MiB). `cancel` may be NULL. The host does not end such sessions by itself: one
 * whose reply is lost stays until its toolstack restarts.
 *
 * `*session` is freed with `xcp_local_session_free`; `transport` may be freed at once. From any
 * thread. Fails with XCP_E_FAULT (SESSION_AUTHENTICATION_FAILED) for another password, and with
 * XCP_E_TRANSPORT, XCP_E_TIMEOUT and XCP_E_TRUST if the host does not answer or is not trusted.
 *
 * Safety:
 * `transport` came from this library, `cancel` or is NULL; the texts end with NUL, `options_json`
 * or is NULL; `session` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_local_session_open(const xcp_transport *transport,
                                  const char *address,
                                  const char *user,
                                  const char *password,
                                  const char *options_json,
                                  const xcp_cancel *cancel,
                                  xcp_local_session **session,
                                  xcp_error **error);

/**
 * Logs in at one host alone, beside a client.
 *
 * With the client's transport, credentials, limits and addresses. `address` is the host's as the
 * pool knows it (`host.address`). `cancel` may be NULL. `*session` is freed with
 * `xcp_local_session_free`; the client may be freed before. From any thread. Fails as
 * `xcp_local_session_open`.
 *
 * Safety:
 * `client` came from this library, `cancel` or is NULL; `address` ends with NUL; `session` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_client_local(const xcp_client *client,
                            const char *address,
                            const xcp_cancel *cancel,
                            xcp_local_session **session,
                            xcp_error **error);

/**
 * Tells the host's address as a URL.
 *
 * `*url` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `session` came from this library; `url` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_local_session_endpoint(const xcp_local_session *session,
                                      char **url,
                                      xcp_error **error);

/**
 * Calls a method of XAPI at the host; sent exactly once.
 *
 * `method`, `params_json`, `cancel` and `*result_json` are as for `xcp_client_call_json`. From any
 * thread. Fails as that does; nothing is tried again.
 *
 * Safety:
 * `session` came from this library, `cancel` or is NULL; the texts end with NUL, `params_json` or
 * is NULL; `result_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_local_session_call_json(const xcp_local_session *session,
                                       const char *method,
                                       const char *params_json,
                                       const xcp_cancel *cancel,
                                       char **result_json,
                                       xcp_error **error);

/**
 * Tells whether the host has lost its pool (`host.is_in_emergency_mode`).
 *
 * `cancel` may be NULL. From any thread. Fails as `xcp_local_session_call_json`.
 *
 * Safety:
 * `session` came from this library, `cancel` or is NULL; `emergency` can be written; `error` is
 * NULL or can be written.
 */
xcp_status xcp_local_session_is_in_emergency_mode(const xcp_local_session *session,
                                                  const xcp_cancel *cancel,
                                                  bool *emergency,
                                                  xcp_error **error);

/**
 * Frees a local session, and logs out; NULL is fine.
 *
 * The host is given five seconds to hear of it. From any thread.
 *
 * Safety:
 * `session` is NULL or came from this library.
 */
void xcp_local_session_free(xcp_local_session *session);

/**
 * Logs in at another host than the client's, or at the master that it names.
 *
 * Whatever pool that host is in; with the transport, credentials, limits and addresses of the
 * client. `address` is the host's as the pool knows it. `cancel` may be NULL. `*other` is freed
 * with `xcp_client_free`; the client may be freed before. From any thread. Fails as
 * `xcp_client_connect`.
 *
 * Safety:
 * `client` came from this library, `cancel` or is NULL; `address` ends with NUL; `other` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_client_beside(const xcp_client *client,
                             const char *address,
                             const xcp_cancel *cancel,
                             xcp_client **other,
                             xcp_error **error);

/**
 * Asks another host of the pool what it is, in at most 15 s.
 *
 * With the transport, credentials and addresses of the client. `address` is the host's as the pool
 * knows it. `cancel` may be NULL. `*role_json` is as there, freed with `xcp_string_free`. From any
 * thread. Fails as `xcp_probe_json`.
 *
 * Safety:
 * `client` came from this library, `cancel` or is NULL; `address` ends with NUL; `role_json` can
 * be written; `error` is NULL or can be written.
 */
xcp_status xcp_client_role_json(const xcp_client *client,
                                const char *address,
                                const xcp_cancel *cancel,
                                char **role_json,
                                xcp_error **error);

/**
 * Tells where a host really is that the pool knows by an address, as a URL.
 *
 * Nobody is asked. `*url` is freed with `xcp_string_free`. From any thread. Fails with
 * XCP_E_PROTOCOL for what is no address.
 *
 * Safety:
 * `client` came from this library; `address` ends with NUL; `url` can be written; `error` is NULL
 * or can be written.
 */
xcp_status xcp_client_locate(const xcp_client *client,
                             const char *address,
                             char **url,
                             xcp_error **error);

/**
 * Asks every host of a snapshot what it is, all at the same time.
 *
 * `pool` is a client of the pool that the snapshot is of. `cancel` may be NULL. `*evidence_json`
 * is the "evidence" of `xcp_election_json`, hosts by ref, with `"schema"` beside it: `{"schema":
 * 1, "hosts": {ref: {"reachable", "role", "emergency_mode", ...}}, "confirmed": []}`, freed with
 * `xcp_string_free`. It can be passed on as it is to `xcp_election` and `xcp_plan_hand_over_with`.
 * A host that says nothing for certain has no evidence; one that is not there costs 15 s at most.
 *
 * From any thread. Fails with XCP_E_CANCELLED.
 *
 * Safety:
 * `pool` and `snapshot` came from this library, `cancel` or is NULL; `evidence_json` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_evidence_json(const xcp_client *pool,
                             const xcp_snapshot *snapshot,
                             const xcp_cancel *cancel,
                             char **evidence_json,
                             xcp_error **error);

/**
 * Takes a snapshot of the pool, and follows it.
 *
 * `scope` is as for `xcp_client_snapshot`. `cancel` may be NULL. `*watch` is freed with
 * `xcp_watch_free`; the client may be freed before. From any thread. Fails as
 * `xcp_client_snapshot`.
 *
 * Safety:
 * `client` came from this library, `cancel` or is NULL; `scope` ends with NUL; `watch` can be
 * written; `error` is NULL or can be written.
 */
xcp_status xcp_client_watch(const xcp_client *client,
                            const char *scope,
                            const xcp_cancel *cancel,
                            xcp_watch **watch,
                            xcp_error **error);

/**
 * Takes a snapshot of the pool, and follows it, with options.
 *
 * As `xcp_client_watch`. `options_json` may be NULL; it is `{"hold": seconds}`, how long the
 * server may hold a request when nothing happens (30).
 *
 * Safety:
 * As for `xcp_client_watch`; `options_json` is NULL or ends with NUL.
 */
xcp_status xcp_client_watch_with(const xcp_client *client,
                                 const char *scope,
                                 const char *options_json,
                                 const xcp_cancel *cancel,
                                 xcp_watch **watch,
                                 xcp_error **error);

/**
 * Waits for changes until some are there or a while has passed, and counts them.
 *
 * So many times `xcp_watch_next` will not wait. The wait is as long as the server holds a request
 * ("hold" of `xcp_client_watch_with`). `cancel` may be NULL. From any thread. Fails as
 * `xcp_watch_next`.
 *
 * Safety:
 * `watch` came from this library, `cancel` or is NULL; `count` can be written; `error` is NULL or
 * can be written.
 */
xcp_status xcp_watch_poll(const xcp_watch *watch,
                          const xcp_cancel *cancel,
                          size_t *count,
                          xcp_error **error);

/**
 * Waits for the next change.
 *
 * `*change_json` is `{"schema": 1, "class", "ref", "operation": "added" | "modified" |
 * "deleted"}`, freed with `xcp_string_free`. `cancel` may be NULL; it ends this wait and not the
 * watch.
 *
 * From any thread. Fails with XCP_E_CANCELLED once `xcp_watch_cancel` was called, and as
 * `xcp_client_snapshot`; such an error does not end the watch: the next call tries again, after a
 * pause that grows.
 *
 * Safety:
 * `watch` came from this library, `cancel` or is NULL; `change_json` can be written; `error` is
 * NULL or can be written.
 */
xcp_status xcp_watch_next(const xcp_watch *watch,
                          const xcp_cancel *cancel,
                          char **change_json,
                          xcp_error **error);

/**
 * Copies the pool as it was after the change that came last, or a little later.
 *
 * Waits while another thread is in `xcp_watch_next`, but fails with XCP_E_MISUSE inside of a
 * callback that works for it. `*snapshot` is freed with `xcp_snapshot_free`. From any thread.
 *
 * Safety:
 * `watch` came from this library; `snapshot` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_watch_snapshot(const xcp_watch *watch, xcp_snapshot **snapshot, xcp_error **error);

/**
 * Ends a watch; NULL is fine.
 *
 * Whoever waits in `xcp_watch_next`, or will, gets XCP_E_CANCELLED. From any thread.
 *
 * Safety:
 * `watch` is NULL or came from this library.
 */
void xcp_watch_cancel(const xcp_watch *watch);

/**
 * Ends and frees a watch. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `watch` is NULL or came from this library.
 */
void xcp_watch_free(xcp_watch *watch);

/**
 * Makes a host a member of a pool, as planned; sees for itself that it became one.
 *
 * `pool` is a client of the pool, `host` one of the host that joins. Steps whose effect holds
 * already are skipped; the preflight is asked again before the join; what can be taken back is, if
 * the join does not come about. If the host is a member already, only the wait and the comparison
 * are left: calling again is safe.
 *
 * `consent` is the digest of what the plan destroys (`xcp_plan_losses_digest`), which a person has
 * seen; NULL consents to no loss. `options_json` may be NULL; it is `{"deadline": seconds}`, how
 * long all of it may take (3600). `progress` may be NULL; it is called with `ctx`. `cancel` may be
 * NULL.
 *
 * XCP_OK means that the host is a live, enabled member. `*joined_json` is then `{"schema": 1,
 * "host": uuid, "reference", "already_member", "before": {"master", "master_address", "hosts",
 * "srs", "networks", "vms"} | null, "after": {...}, "missing": [line...]}`, freed with
 * `xcp_string_free`; "missing" tells what was foretold and is not there.
 *
 * From any thread. Fails with XCP_E_NOT_DONE if the host is no member and nothing is under way
 * that would make it one, and with XCP_E_OUTCOME_UNKNOWN if the deadline passed while that could
 * not be told; `xcp_error_evidence_json` has what was seen. Fails with XCP_E_INVALID_INPUT if the
 * plan is of another pool or host, with XCP_E_STATE if it leaves something to a person or destroys
 * something else than `consent` stands for, with XCP_E_CANCELLED, and with what keeps a server
 * from being asked at all.
 *
 * Safety:
 * The objects came from this library, `cancel` or is NULL; `consent` and `options_json` are NULL
 * or end with NUL; `progress` can be called with `ctx` until the call returns; `joined_json` can
 * be written; `error` is NULL or can be written.
 */
xcp_status xcp_join(const xcp_client *pool,
                    const xcp_client *host,
                    const xcp_plan *plan,
                    const char *consent,
                    const char *options_json,
                    xcp_progress progress,
                    void *ctx,
                    const xcp_cancel *cancel,
                    char **joined_json,
                    xcp_error **error);

/**
 * Runs the plan of an ejection, a hand-over or a maintenance.
 *
 * Sees for itself that it came about.
 *
 * `pool` is a client of the pool. `consent`, `options_json`, `progress` with `ctx`, and `cancel`
 * are those of `xcp_join`; only an ejection destroys anything. What is done already is seen, and
 * not done again: calling again is safe.
 *
 * XCP_OK means that what was planned is the case. `*result_json` is then {"schema": 1, "host":
 * uuid, ...}, freed with `xcp_string_free`; what else it has depends on the plan.
 *
 * From any thread. Fails as `xcp_join` does, and with XCP_E_INVALID_INPUT for other plans.
 *
 * Safety:
 * The objects came from this library, `cancel` or is NULL; `consent` and `options_json` are NULL
 * or end with NUL; `progress` can be called with `ctx` until the call returns; `result_json` can
 * be written; `error` is NULL or can be written.
 */
xcp_status xcp_run(const xcp_client *pool,
                   const xcp_plan *plan,
                   const char *consent,
                   const char *options_json,
                   xcp_progress progress,
                   void *ctx,
                   const xcp_cancel *cancel,
                   char **result_json,
                   xcp_error **error);

/**
 * Plans that hosts join a pool, one after the other.
 *
 * `reports` is an array of `count` reports (`xcp_preflight`), one for each host in the order of
 * the joins, all of the same pool. Each host is held against the pool as it will be by then, with
 * the hosts before it as members; so two hosts that clash with each other, and not with the pool,
 * are found before the first one joins. `choices_json` may be NULL; it is an object as for
 * `xcp_plan_join`, for all hosts, or a list of such objects or nulls, one for each host.
 *
 * `*joins` is freed with `xcp_joins_free`; the reports may be freed at once. From any thread.
 * Fails with XCP_E_INVALID_INPUT if the reports are of different pools, if there are none, and as
 * `xcp_plan_join`.
 *
 * Safety:
 * `count` pointers can be read from `reports`, and each came from this library; `choices_json` is
 * NULL or ends with NUL; `joins` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_plan_join_many(const xcp_report *const *reports,
                              size_t count,
                              const char *choices_json,
                              xcp_joins **joins,
                              xcp_error **error);

/**
 * Loads plans that `xcp_joins_json` saved.
 *
 * `*joins` is freed with `xcp_joins_free`. From any thread. Fails with XCP_E_INVALID_INPUT for
 * what is no such plans, or plans of another schema.
 *
 * Safety:
 * `json` ends with NUL; `joins` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_joins_from_json(const char *json, xcp_joins **joins, xcp_error **error);

/**
 * Saves the plans as JSON.
 *
 * `*json` is `{"schema": 1, "plans": [...], "notes": [line...]}`, freed with `xcp_string_free`;
 * the plans are as `xcp_plan_json` tells them, and "notes" is what is found only because of the
 * hosts that join before, and what could not be foretold. From any thread.
 *
 * Safety:
 * `joins` came from this library; `json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_joins_json(const xcp_joins *joins, char **json, xcp_error **error);

/**
 * Tells the plans as text for people, with the notes and the digest of all losses.
 *
 * `*text` is freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `joins` came from this library; `text` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_joins_text(const xcp_joins *joins, char **text, xcp_error **error);

/**
 * Returns how many hosts join; 0 for NULL and for what is no joins.
 *
 * From any thread.
 *
 * Safety:
 * `joins` is NULL or came from this library.
 */
size_t xcp_joins_count(const xcp_joins *joins);

/**
 * Returns whether nothing is left to a person in any of the plans.
 *
 * False for NULL and for what is no joins. From any thread.
 *
 * Safety:
 * `joins` is NULL or came from this library.
 */
bool xcp_joins_is_complete(const xcp_joins *joins);

/**
 * Copies the plan of one host, counted from 0.
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT beyond
 * `xcp_joins_count`.
 *
 * Safety:
 * `joins` came from this library; `plan` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_joins_plan(const xcp_joins *joins, size_t index, xcp_plan **plan, xcp_error **error);

/**
 * Tells what is gone for good once all have joined, with the digest for consent.
 *
 * `*losses_json` is as for `xcp_plan_losses_json`, freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `joins` came from this library; `losses_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_joins_losses_json(const xcp_joins *joins, char **losses_json, xcp_error **error);

/**
 * Tells the digest of what all joins destroy, by which consent is given.
 *
 * `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `joins` came from this library; `digest` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_joins_losses_digest(const xcp_joins *joins, char **digest, xcp_error **error);

/**
 * Tells the digest of all plans in their order.
 *
 * `*digest` is `sha256:` and 64 hexadecimal digits, freed with `xcp_string_free`. From any thread.
 *
 * Safety:
 * `joins` came from this library; `digest` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_joins_digest(const xcp_joins *joins, char **digest, xcp_error **error);

/**
 * Makes hosts members of a pool, one after the other, as planned.
 *
 * `hosts` is an array of `count` clients, those of the hosts in the order of the plans. All are
 * looked at before the first one joins, and before each further join the pool has to be at rest.
 * `consent` is the digest of what all joins destroy (`xcp_joins_losses_digest`), NULL for no loss;
 * `options_json` may be NULL; it is `{"deadline": seconds, "on_failure": "stop" | "continue"}`:
 * how long all joins together may take (3600), and whether the hosts after one that did not join
 * are tried ("stop": they are not, and nobody joins if it shows beforehand that one will not).
 * `progress` with `ctx` and `cancel` are as for `xcp_join`. After a join of which it is not known
 * whether it was done nobody else joins.
 *
 * XCP_OK means that it is known what became of each host: `*all_joined` says whether all are
 * members, and `*joined_json` is `{"schema": 1, "hosts": [{"host": {"uuid", "name"}, "outcome":
 * "done" | "not-done" | "unknown" | "skipped", "joined": as xcp_join tells | null, "reason": text
 * | null, "fault": {"code", "params"} | null, "evidence": [line...]}...]}`, freed with
 * `xcp_string_free`. Calling again goes on where this ended.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT if the clients are not those of the plans, with
 * XCP_E_STATE if a plan leaves something to a person or other losses than those of `consent`, with
 * XCP_E_CANCELLED, and with what keeps the pool from being asked at all.
 *
 * Safety:
 * `count` pointers can be read from `hosts`; they and the other objects came from this library,
 * `cancel` or is NULL; `consent` and `options_json` are NULL or end with NUL; `progress` can be
 * called with `ctx` until the call returns; the outputs can be written; `error` is NULL or can be
 * written.
 */
xcp_status xcp_join_many(const xcp_client *pool,
                         const xcp_client *const *hosts,
                         size_t count,
                         const xcp_joins *joins,
                         const char *consent,
                         const char *options_json,
                         xcp_progress progress,
                         void *ctx,
                         const xcp_cancel *cancel,
                         bool *all_joined,
                         char **joined_json,
                         xcp_error **error);

/**
 * Frees joins. NULL is fine.
 *
 * From any thread.
 *
 * Safety:
 * `joins` is NULL or came from this library.
 */
void xcp_joins_free(xcp_joins *joins);

/**
 * Says in what state a pool is, also when no master answers.
 *
 * Every host is asked for itself.
 *
 * `hosts_json` is a list of addresses, `["10.0.0.1", ...]`, or with options `{"hosts":
 * [address...], "addresses": {address: real address}, "patience": seconds, "last_age": seconds,
 * "ask_whether_ha_is_armed": bool}`: where hosts really are that others call by an address, how
 * long one may take to say what it is (15), how long ago `last` was taken, and whether members are
 * asked if HA is armed on them (no: XAPI has no question that is one, and the call that comes near
 * refuses or does nothing). `last` is the last snapshot that was taken while a master answered, in
 * scope "failover" or "everything", or NULL: its hosts are asked too. `cancel` may be NULL. A host
 * that is silent costs 15 s; hosts are asked at the same time.
 *
 * `*diagnosis_json` is `{"schema": 1, "state", "hosts": [...], ..., "evidence": {...}}`, freed
 * with `xcp_string_free`; "evidence" is what `xcp_election_json` and `xcp_plan_recovery` take, by
 * refs of `last`. `*diagnosis_text` is the same for people, freed likewise.
 *
 * From any thread. Fails with XCP_E_INVALID_INPUT for addresses that are none, with
 * XCP_E_CANCELLED.
 *
 * Safety:
 * `transport` came from this library, `last` and `cancel` or are NULL; the texts end with NUL;
 * both outputs can be written; `error` is NULL or can be written.
 */
xcp_status xcp_diagnose(const xcp_transport *transport,
                        const char *hosts_json,
                        const char *user,
                        const char *password,
                        const xcp_snapshot *last,
                        const xcp_cancel *cancel,
                        char **diagnosis_json,
                        char **diagnosis_text,
                        xcp_error **error);

/**
 * Plans the recovery of a pool whose master is gone.
 *
 * One host is promoted, every member checked.
 *
 * `last` is the last snapshot of the pool. `evidence_json` is that of `xcp_diagnose`, to which a
 * person may add what only people know: `{"hosts": {host: {"powered_off": true}}}` of the old
 * master, and "confirmed". What keeps the decision from being safe and is not confirmed is left to
 * a person: `xcp_plan_is_complete` tells.
 *
 * `*plan` is freed with `xcp_plan_free`. From any thread. Fails with XCP_E_INVALID_INPUT if the
 * snapshot has no pool with a master, or not the hosts of the evidence.
 *
 * Safety:
 * `last` came from this library; `evidence_json` ends with NUL; `plan` can be written; `error` is
 * NULL or can be written.
 */
xcp_status xcp_plan_recovery(const xcp_snapshot *last,
                             const char *evidence_json,
                             xcp_plan **plan,
                             xcp_error **error);

/**
 * Recovers a pool as planned: promotes one host, and points the others to it.
 *
 * Every host is looked at afterwards.
 *
 * `transport`, `hosts_json`, `user`, `password` and `last` as for `xcp_diagnose`, but `last` is
 * needed; `consent`, `options_json`, `progress` with `ctx`, and `cancel` as for `xcp_join`. The
 * hosts are asked once more before anything is done. Calling again goes on where it ended; no
 * second host is promoted while the first may be a master.
 *
 * XCP_OK means that the pool has the planned master. `*recovered_json` is then `{"schema": 1,
 * "master": uuid, "address", "already_master", "members": [{"host", "name", "follows",
 * "says"}...], "remaining": [...]}`, freed with `xcp_string_free`; "remaining" is what a person
 * has to see to.
 *
 * From any thread. Fails as `xcp_join` does.
 *
 * Safety:
 * `transport`, `last` and `plan` came from this library, `cancel` or is NULL; the texts end with
 * NUL, `consent` and `options_json` or are NULL; `progress` can be called with `ctx` until the
 * call returns; `recovered_json` can be written; `error` is NULL or can be written.
 */
xcp_status xcp_recover(const xcp_transport *transport,
                       const char *hosts_json,
                       const char *user,
                       const char *password,
                       const xcp_snapshot *last,
                       const xcp_plan *plan,
                       const char *consent,
                       const char *options_json,
                       xcp_progress progress,
                       void *ctx,
                       const xcp_cancel *cancel,
                       char **recovered_json,
                       xcp_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* XCP_POOL_H */
