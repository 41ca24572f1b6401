// Package xcppool decides about resource pools of XCP-ng and XenServer hosts, then acts.
//
// It wraps the C library libxcp_pool by cgo. Build it with
//
//	CGO_CFLAGS=-I.../include CGO_LDFLAGS="-L.../target/debug -Wl,-rpath,.../target/debug"
//
// What holds something of the library is an io.Closer; closing twice is fine. Calls that may wait take a
// context, whose end ends them. Errors are *Error, for errors.As.
package xcppool

/*
#cgo LDFLAGS: -lxcp_pool
#include <stdlib.h>
#include "xcp_pool.h"

void xcpGoProgress(void *ctx, char *json);
void xcpGoExchange(void *ctx, xcp_request *request, xcp_reply *reply);
void xcpGoRelease(void *ctx);

static void progress(void *ctx, const char *json) { xcpGoProgress(ctx, (char *)json); }
static void exchange(void *ctx, const xcp_request *request, const xcp_reply *reply) {
	xcpGoExchange(ctx, (xcp_request *)request, (xcp_reply *)reply);
}

static xcp_status join(const xcp_client *pool, const xcp_client *host, const xcp_plan *plan,
	const char *consent, const char *options, uintptr_t ctx, const xcp_cancel *cancel, char **out,
	xcp_error **error) {
	return xcp_join(pool, host, plan, consent, options, ctx ? progress : NULL, (void *)ctx, cancel, out, error);
}

static xcp_status custom(uintptr_t ctx, xcp_transport **transport, xcp_error **error) {
	xcp_transport_callbacks table = {sizeof table, (void *)ctx, exchange, xcpGoRelease};
	return xcp_transport_custom(&table, transport, error);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"
)

func init() {
	if abi := C.xcp_abi_version(); abi != C.XCP_ABI_VERSION {
		panic(fmt.Sprintf("xcppool: the library has ABI %d, this package needs %d", abi, C.XCP_ABI_VERSION))
	}
}

// Error is what went wrong. Code and Params are those of the server's fault, if it raised one; Evidence
// is what was seen before an operation was given up.
type Error struct {
	Status   string // such as XCP_E_TIMEOUT
	Message  string
	Code     string
	Params   []string
	Evidence []string
	cause    error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the context's error if the context ended the call.
func (e *Error) Unwrap() error { return e.cause }

// Version is the library's.
func Version() string { return C.GoString(C.xcp_version()) }

func failure(status C.xcp_status, err *C.xcp_error) error {
	if status == C.XCP_OK {
		return nil
	}
	defer C.xcp_error_free(err)
	e := &Error{
		Status:  C.GoString(C.xcp_status_name(C.uint32_t(status))),
		Message: C.GoString(C.xcp_error_message(err)),
	}
	if code := C.xcp_error_fault_code(err); code != nil {
		e.Code = C.GoString(code)
	}
	_ = json.Unmarshal([]byte(C.GoString(C.xcp_error_fault_params_json(err))), &e.Params)
	_ = json.Unmarshal([]byte(C.GoString(C.xcp_error_evidence_json(err))), &e.Evidence)
	return e
}

// texts are C copies of Go texts, freed together. nil becomes NULL.
type texts struct{ all []*C.char }

func (t *texts) of(text string) *C.char {
	c := C.CString(text)
	t.all = append(t.all, c)
	return c
}

func (t *texts) json(value any) (*C.char, error) {
	if value == nil {
		return nil, nil
	}
	if raw, ok := value.(json.RawMessage); ok {
		return t.of(string(raw)), nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return t.of(string(encoded)), nil
}

func (t *texts) free() {
	for _, text := range t.all {
		C.free(unsafe.Pointer(text))
	}
}

func take(text *C.char) string {
	defer C.xcp_string_free(text)
	return C.GoString(text)
}

func decode(text *C.char, into any) error {
	whole := take(text)
	if into == nil {
		return nil
	}
	return json.Unmarshal([]byte(whole), into)
}

// handle is an object of the library, which is freed once.
type handle struct {
	mutex   sync.RWMutex
	pointer unsafe.Pointer
	free    func(unsafe.Pointer)
}

func made(pointer unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	h := &handle{pointer: pointer, free: free}
	runtime.SetFinalizer(h, func(h *handle) { _ = h.Close() })
	return h
}

// Close gives back what the library holds.
func (h *handle) Close() error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.pointer != nil {
		h.free(h.pointer)
		h.pointer = nil
		runtime.SetFinalizer(h, nil)
	}
	return nil
}

// get is NULL once closed, which the library answers with an error.
func (h *handle) get() unsafe.Pointer {
	if h == nil {
		return nil
	}
	h.mutex.RLock()
	defer h.mutex.RUnlock()
	return h.pointer
}

// under runs a call that the context ends.
func under(ctx context.Context, call func(cancel *C.xcp_cancel) (C.xcp_status, *C.xcp_error)) error {
	if err := ctx.Err(); err != nil {
		return &Error{Status: "XCP_E_CANCELLED", Message: err.Error(), cause: err}
	}
	var cancel *C.xcp_cancel
	if ctx.Done() != nil {
		var err *C.xcp_error
		if status := C.xcp_cancel_new(&cancel, &err); status != C.XCP_OK {
			return failure(status, err)
		}
		ended, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-ctx.Done():
				C.xcp_cancel_cancel(cancel)
			case <-ended:
			}
		}()
		defer func() {
			close(ended)
			<-watched
			C.xcp_cancel_free(cancel)
		}()
	}
	status, cErr := call(cancel)
	err := failure(status, cErr)
	if e, ok := err.(*Error); ok && e.Status == "XCP_E_CANCELLED" {
		e.cause = ctx.Err()
	}
	return err
}

// Preflight asks whether a host may join a pool: snapshots and options as the header tells, options may
// be nil; the report goes into report.
func Preflight(pool, host, options, report any) error {
	var t texts
	defer t.free()
	p, err := t.json(pool)
	if err != nil {
		return err
	}
	h, err := t.json(host)
	if err != nil {
		return err
	}
	o, err := t.json(options)
	if err != nil {
		return err
	}
	var out *C.char
	var cErr *C.xcp_error
	if status := C.xcp_preflight_json(p, h, o, &out, &cErr); status != C.XCP_OK {
		return failure(status, cErr)
	}
	return decode(out, report)
}

// Partition tells which hosts of an HA pool survive.
func Partition(question, outcome any) error {
	var t texts
	defer t.free()
	q, err := t.json(question)
	if err != nil {
		return err
	}
	var out *C.char
	var cErr *C.xcp_error
	if status := C.xcp_partition_json(q, &out, &cErr); status != C.XCP_OK {
		return failure(status, cErr)
	}
	return decode(out, outcome)
}

// Failover asks the planner of HA.
func Failover(question, outcome any) error {
	var t texts
	defer t.free()
	q, err := t.json(question)
	if err != nil {
		return err
	}
	var out *C.char
	var cErr *C.xcp_error
	if status := C.xcp_failover_json(q, &out, &cErr); status != C.XCP_OK {
		return failure(status, cErr)
	}
	return decode(out, outcome)
}

// Transport is the way to hosts.
type Transport struct{ *handle }

func newTransport(out *C.xcp_transport) *Transport {
	free := func(p unsafe.Pointer) { C.xcp_transport_free((*C.xcp_transport)(p)) }
	return &Transport{made(unsafe.Pointer(out), free)}
}

// HTTPS goes to real hosts whose certificates have one of these SHA-256 fingerprints; without pins, to
// those whose certificates an authority of the system signed.
func HTTPS(options any, pins ...string) (*Transport, error) {
	var t texts
	defer t.free()
	o, err := t.json(options)
	if err != nil {
		return nil, err
	}
	var store *C.xcp_trust_store
	var cErr *C.xcp_error
	if len(pins) > 0 {
		p, err := t.json(pins)
		if err != nil {
			return nil, err
		}
		if status := C.xcp_trust_store_pins(p, &store, &cErr); status != C.XCP_OK {
			return nil, failure(status, cErr)
		}
		defer C.xcp_trust_store_free(store)
	}
	var out *C.xcp_transport
	if status := C.xcp_transport_https(o, store, &out, &cErr); status != C.XCP_OK {
		return nil, failure(status, cErr)
	}
	return newTransport(out), nil
}

// Exchange posts a body to a URL and returns the reply's.
type Exchange func(url string, body []byte) ([]byte, error)

// Custom is a transport of one's own.
func Custom(exchange Exchange) (*Transport, error) {
	context := cgo.NewHandle(exchange)
	var out *C.xcp_transport
	var err *C.xcp_error
	if status := C.custom(C.uintptr_t(context), &out, &err); status != C.XCP_OK {
		context.Delete()
		return nil, failure(status, err)
	}
	return newTransport(out), nil
}

// Snapshot is the records of one pool at one moment.
type Snapshot struct{ *handle }

// Count tells how many records of a class there are, such as "SR".
func (s *Snapshot) Count(class string) (int, error) {
	var t texts
	defer t.free()
	var count C.size_t
	var err *C.xcp_error
	status := C.xcp_snapshot_count((*C.xcp_snapshot)(s.get()), t.of(class), &count, &err)
	runtime.KeepAlive(s)
	return int(count), failure(status, err)
}

// Report is what a preflight found.
type Report struct{ *handle }

// NewReport asks whether a host may join a pool; options may be nil.
func NewReport(pool, host *Snapshot, options any) (*Report, error) {
	var t texts
	defer t.free()
	o, err := t.json(options)
	if err != nil {
		return nil, err
	}
	var out *C.xcp_report
	var cErr *C.xcp_error
	status := C.xcp_preflight((*C.xcp_snapshot)(pool.get()), (*C.xcp_snapshot)(host.get()), o, &out, &cErr)
	runtime.KeepAlive(pool)
	runtime.KeepAlive(host)
	if status != C.XCP_OK {
		return nil, failure(status, cErr)
	}
	free := func(p unsafe.Pointer) { C.xcp_report_free((*C.xcp_report)(p)) }
	return &Report{made(unsafe.Pointer(out), free)}, nil
}

// Blocking is how many findings stand in the way.
func (r *Report) Blocking() int {
	defer runtime.KeepAlive(r)
	return int(C.xcp_report_blocking_count((*C.xcp_report)(r.get())))
}

// Ready says whether nothing stands in the way, and nothing is unknown.
func (r *Report) Ready() bool {
	defer runtime.KeepAlive(r)
	return C.xcp_report_verdict((*C.xcp_report)(r.get())) == C.XCP_VERDICT_READY
}

// Text is the report for people.
func (r *Report) Text() (string, error) {
	var out *C.char
	var err *C.xcp_error
	status := C.xcp_report_text((*C.xcp_report)(r.get()), &out, &err)
	runtime.KeepAlive(r)
	if status != C.XCP_OK {
		return "", failure(status, err)
	}
	return take(out), nil
}

// Plan makes the steps that make the join possible; choices may be nil.
func (r *Report) Plan(choices any) (*Plan, error) {
	var t texts
	defer t.free()
	c, err := t.json(choices)
	if err != nil {
		return nil, err
	}
	var out *C.xcp_plan
	var cErr *C.xcp_error
	status := C.xcp_plan_join((*C.xcp_report)(r.get()), c, &out, &cErr)
	runtime.KeepAlive(r)
	if status != C.XCP_OK {
		return nil, failure(status, cErr)
	}
	return newPlan(out), nil
}

// Plan is what to do, as data.
type Plan struct{ *handle }

// Text is the plan for people.
func (p *Plan) Text() (string, error) {
	var out *C.char
	var err *C.xcp_error
	status := C.xcp_plan_text((*C.xcp_plan)(p.get()), &out, &err)
	runtime.KeepAlive(p)
	if status != C.XCP_OK {
		return "", failure(status, err)
	}
	return take(out), nil
}

// LossesDigest is what one consents to after one has seen what the plan destroys.
func (p *Plan) LossesDigest() (string, error) {
	var out *C.char
	var err *C.xcp_error
	status := C.xcp_plan_losses_digest((*C.xcp_plan)(p.get()), &out, &err)
	runtime.KeepAlive(p)
	if status != C.XCP_OK {
		return "", failure(status, err)
	}
	return take(out), nil
}

// Client is a session with the master of one pool; many goroutines may use it.
type Client struct{ *handle }

// Connect logs in at a host, or at the master that it names; options may be nil.
func Connect(ctx context.Context, way *Transport, address, user, password string, options any) (*Client, error) {
	var t texts
	defer t.free()
	o, err := t.json(options)
	if err != nil {
		return nil, err
	}
	var out *C.xcp_client
	a, u, p := t.of(address), t.of(user), t.of(password)
	err = under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.xcp_client_connect((*C.xcp_transport)(way.get()), a, u, p, o, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(way)
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_client_free((*C.xcp_client)(p)) }
	return &Client{made(unsafe.Pointer(out), free)}, nil
}

// Endpoint is the master's address.
func (c *Client) Endpoint() (string, error) {
	var out *C.char
	var err *C.xcp_error
	status := C.xcp_client_endpoint((*C.xcp_client)(c.get()), &out, &err)
	runtime.KeepAlive(c)
	if status != C.XCP_OK {
		return "", failure(status, err)
	}
	return take(out), nil
}

// Snapshot reads the pool: "overview", "preflight", "election", "failover" or "everything".
func (c *Client) Snapshot(ctx context.Context, scope string) (*Snapshot, error) {
	var t texts
	defer t.free()
	s := t.of(scope)
	var out *C.xcp_snapshot
	err := under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.xcp_client_snapshot((*C.xcp_client)(c.get()), s, false, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(c)
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_snapshot_free((*C.xcp_snapshot)(p)) }
	return &Snapshot{made(unsafe.Pointer(out), free)}, nil
}

// Call calls a method of XAPI; its result goes into result, which may be nil.
func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	var t texts
	defer t.free()
	if params == nil {
		params = []any{}
	}
	p, err := t.json(params)
	if err != nil {
		return err
	}
	m := t.of(method)
	var out *C.char
	err = under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.xcp_client_call_json((*C.xcp_client)(c.get()), m, p, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(c)
	if err != nil {
		return err
	}
	return decode(out, result)
}

// Progress is where an operation stands.
type Progress struct {
	Step, Of int
	Summary  string
	Done     *float64
	Awaited  *string
	Elapsed  float64
}

// Joined is what became of a join.
type Joined struct {
	Host          string
	Reference     string
	AlreadyMember bool `json:"already_member"`
	Missing       []string
}

// Join makes host's host a member of the pool, as planned. consent is the digest of the plan's losses,
// "" if there are none to consent to; progress may be nil.
func (c *Client) Join(ctx context.Context, host *Client, plan *Plan, consent string, progress func(Progress)) (*Joined, error) {
	var t texts
	defer t.free()
	var out *C.char
	agreed := t.optional(consent)
	told, forget := observed(progress)
	defer forget()
	err := under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.join((*C.xcp_client)(c.get()), (*C.xcp_client)(host.get()), (*C.xcp_plan)(plan.get()),
			agreed, nil, told, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(c)
	runtime.KeepAlive(host)
	runtime.KeepAlive(plan)
	if err != nil {
		return nil, err
	}
	joined := new(Joined)
	return joined, decode(out, joined)
}

// Change is what happened to an object: "added", "modified" or "deleted".
type Change struct{ Class, Ref, Operation string }

// Watch follows a pool.
type Watch struct{ *handle }

// Watch takes a snapshot and follows it.
func (c *Client) Watch(ctx context.Context, scope string) (*Watch, error) {
	var t texts
	defer t.free()
	s := t.of(scope)
	var out *C.xcp_watch
	err := under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.xcp_client_watch((*C.xcp_client)(c.get()), s, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(c)
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_watch_free((*C.xcp_watch)(p)) }
	return &Watch{made(unsafe.Pointer(out), free)}, nil
}

// Next waits for the next change; the context ends the wait and not the watch.
func (w *Watch) Next(ctx context.Context) (Change, error) {
	var change Change
	var out *C.char
	err := under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.xcp_watch_next((*C.xcp_watch)(w.get()), cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(w)
	if err != nil {
		return change, err
	}
	return change, decode(out, &change)
}
