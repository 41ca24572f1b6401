/* What C needs to call Go: the callbacks of the library, with a cgo.Handle as their context. */
#ifndef XCPPOOL_GLUE_H
#define XCPPOOL_GLUE_H

#include <stdlib.h>
#include "xcp_pool.h"

/* Go takes handles as numbers: as pointers they would lead nowhere, which Go does not forgive. */
void xcpGoProgress(uintptr_t handle, char *json);
void xcpGoTaskProgress(uintptr_t handle, double done);
void xcpGoExchange(uintptr_t handle, xcp_request *request, xcp_reply *reply);
void xcpGoPin(uintptr_t handle, char *host, xcp_reply *reply);
void xcpGoRemember(uintptr_t handle, char *host, char *fingerprint, xcp_reply *reply);
void xcpGoRelease(uintptr_t handle);
void xcpGoLog(uintptr_t handle, uint32_t level, char *target, char *message);

/* A handle as a context, and the callback that takes it; both are NULL for no handle. */
static inline void *glue_ctx(uintptr_t handle) { return (void *)handle; }

static inline void glue_tell(void *ctx, const char *json) { xcpGoProgress((uintptr_t)ctx, (char *)json); }

static inline xcp_progress glue_progress(uintptr_t handle) { return handle ? glue_tell : NULL; }

static inline void glue_tell_task(void *ctx, double done) { xcpGoTaskProgress((uintptr_t)ctx, done); }

static inline xcp_task_progress glue_task_progress(uintptr_t handle) {
	return handle ? glue_tell_task : NULL;
}

static inline void glue_release(void *ctx) { xcpGoRelease((uintptr_t)ctx); }

static inline void glue_log(void *ctx, uint32_t level, const char *target, const char *message) {
	xcpGoLog((uintptr_t)ctx, level, (char *)target, (char *)message);
}

static inline xcp_status glue_log_set(uint32_t level, uintptr_t handle, xcp_error **error) {
	return xcp_log_set(level, handle ? glue_log : NULL, glue_ctx(handle), handle ? glue_release : NULL, error);
}

static inline void glue_exchange(void *ctx, const xcp_request *request, const xcp_reply *reply) {
	xcpGoExchange((uintptr_t)ctx, (xcp_request *)request, (xcp_reply *)reply);
}

static inline xcp_status glue_transport(uintptr_t handle, xcp_transport **transport, xcp_error **error) {
	xcp_transport_callbacks table = {sizeof table, glue_ctx(handle), glue_exchange, glue_release};
	return xcp_transport_custom(&table, transport, error);
}

static inline void glue_pin(void *ctx, const char *host, const xcp_reply *reply) {
	xcpGoPin((uintptr_t)ctx, (char *)host, (xcp_reply *)reply);
}

static inline void glue_remember(void *ctx, const char *host, const char *fingerprint, const xcp_reply *reply) {
	xcpGoRemember((uintptr_t)ctx, (char *)host, (char *)fingerprint, (xcp_reply *)reply);
}

static inline xcp_status glue_trust(uintptr_t handle, xcp_trust_store **store, xcp_error **error) {
	xcp_trust_callbacks table = {sizeof table, glue_ctx(handle), glue_pin, glue_remember, glue_release};
	return xcp_trust_store_custom(&table, store, error);
}

#endif
