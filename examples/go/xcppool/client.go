package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"encoding/json"
	"time"
	"unsafe"
)

// Client is a session with the master of one pool; many goroutines may use it.
type Client struct{ *handle }

func (c *Client) c() *C.xcp_client { return (*C.xcp_client)(c.get()) }

// ConnectOptions are those of Connect; what is left out is as the header tells.
type ConnectOptions struct {
	// Originator is who the server is told to be talking to.
	Originator string
	// PoolUUID is the only pool that is accepted.
	PoolUUID string
	// Timeout is how long a call may take.
	Timeout time.Duration
	// MaxReply is how many bytes a reply may have.
	MaxReply uint64
	// Addresses are where hosts really are that others call by an address.
	Addresses map[string]string
	// Members are where else to look for the pool when its master does not answer.
	Members []string
	// Patience is for how long; nil leaves it to the library.
	Patience *time.Duration
}

func (o ConnectOptions) json() any {
	options := map[string]any{}
	if o.Originator != "" {
		options["originator"] = o.Originator
	}
	if o.PoolUUID != "" {
		options["pool_uuid"] = o.PoolUUID
	}
	if o.MaxReply != 0 {
		options["max_reply"] = o.MaxReply
	}
	if o.Addresses != nil {
		options["addresses"] = o.Addresses
	}
	if o.Members != nil {
		options["members"] = o.Members
	}
	if o.Patience != nil {
		options["patience"] = o.Patience.Seconds()
	}
	seconds(options, "timeout", o.Timeout)
	return options
}

// Connect logs in at a host, or at the master that it names.
func Connect(ctx context.Context, way *Transport, address, user, password string, options ConnectOptions) (*Client, error) {
	a := on(way.handle)
	at, u, p, o := a.text(address), a.text(user), a.text(password), a.json(options.json())
	var out *C.xcp_client
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_connect(way.c(), at, u, p, o, cancel, &out, err)
	})
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_client_free((*C.xcp_client)(p)) }
	return &Client{made(unsafe.Pointer(out), free)}, nil
}

// Cancel ends all calls on this client that are going on.
func (c *Client) Cancel() {
	_ = on(c.handle).run(func(**C.xcp_error) C.xcp_status {
		C.xcp_client_cancel(c.c())
		return C.XCP_OK
	})
}

// Endpoint is the master's address.
func (c *Client) Endpoint() (string, error) {
	return on(c.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_endpoint(c.c(), out, err)
	})
}

// PoolUUID is the pool that the client belongs to.
func (c *Client) PoolUUID(ctx context.Context) (string, error) {
	var out *C.char
	err := on(c.handle).within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_pool_uuid(c.c(), cancel, &out, err)
	})
	if err != nil {
		return "", err
	}
	return taken(out), nil
}

// Snapshot reads the pool: "overview", "preflight", "election", "failover", "everything", or a JSON list of classes.
func (c *Client) Snapshot(ctx context.Context, scope string) (*Snapshot, error) {
	return c.snapshot(ctx, scope, false)
}

// SettledSnapshot reads the pool until nothing changes any more.
func (c *Client) SettledSnapshot(ctx context.Context, scope string) (*Snapshot, error) {
	return c.snapshot(ctx, scope, true)
}

func (c *Client) snapshot(ctx context.Context, scope string, settled bool) (*Snapshot, error) {
	a := on(c.handle)
	s := a.text(scope)
	var out *C.xcp_snapshot
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_snapshot(c.c(), s, C.bool(settled), cancel, &out, err)
	})
	if err != nil {
		return nil, err
	}
	return newSnapshot(out), nil
}

// Call calls a method of XAPI; its result goes into result, which may be nil.
func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	a := on(c.handle)
	m, p := a.text(method), a.json(append([]any{}, params...))
	return a.decodedWithin(ctx, result, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_call_json(c.c(), m, p, cancel, out, err)
	})
}

// Within makes a view: a client with this one's session, whose calls have other limits. It is closed on its
// own; the session ends with the last of them.
func (c *Client) Within(limits Limits) (*Client, error) {
	a := on(c.handle)
	o := a.json(limits.json())
	var out *C.xcp_client
	err := a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_client_view(c.c(), o, &out, err) })
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_client_free((*C.xcp_client)(p)) }
	return &Client{made(unsafe.Pointer(out), free)}, nil
}

// Preflight asks whether a host may join this pool: it reads both, with the evidence that no database has;
// options may be nil.
func (c *Client) Preflight(ctx context.Context, host *Client, options any) (*Report, error) {
	a := on(c.handle, host.handle)
	o := a.json(options)
	var out *C.xcp_report
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_preflight_live(c.c(), host.c(), o, cancel, &out, err)
	})
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_report_free((*C.xcp_report)(p)) }
	return &Report{made(unsafe.Pointer(out), free)}, nil
}

// JoinEvidence reads both clocks and the master's address: the evidence of a preflight that no database has.
func (c *Client) JoinEvidence(ctx context.Context, host *Client) (json.RawMessage, error) {
	var told json.RawMessage
	err := on(c.handle, host.handle).decodedWithin(ctx, &told,
		func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
			return C.xcp_join_evidence_json(c.c(), host.c(), cancel, out, err)
		})
	return told, err
}

// Task runs a method of XAPI as a task and waits for its end; progress, from 0 to 1, may be nil. When the
// context ends, so does the wait, and not the task.
func (c *Client) Task(ctx context.Context, result any, progress func(float64), method string, params ...any) error {
	a := on(c.handle)
	m, p := a.text(method), a.json(append([]any{}, params...))
	ctx, told := observe(ctx, progress)
	defer told.end()
	return a.decodedWithin(ctx, result, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_task_json(c.c(), m, p, C.glue_task_progress(told.handle), C.glue_ctx(told.handle),
			cancel, out, err)
	})
}

// Change is what happened to an object: "added", "modified" or "deleted".
type Change struct{ Class, Ref, Operation string }

// Watch follows a pool.
type Watch struct{ *handle }

func (w *Watch) c() *C.xcp_watch { return (*C.xcp_watch)(w.get()) }

// Watch takes a snapshot and follows it; scope is that of Snapshot.
func (c *Client) Watch(ctx context.Context, scope string) (*Watch, error) {
	a := on(c.handle)
	s := a.text(scope)
	return a.watch(ctx, func(cancel *C.xcp_cancel, out **C.xcp_watch, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_watch(c.c(), s, cancel, out, err)
	})
}

// WatchHolding follows the pool as Watch does; the server may hold a request so long when nothing happens.
func (c *Client) WatchHolding(ctx context.Context, scope string, hold time.Duration) (*Watch, error) {
	a := on(c.handle)
	s, o := a.text(scope), a.json(map[string]any{"hold": hold.Seconds()})
	return a.watch(ctx, func(cancel *C.xcp_cancel, out **C.xcp_watch, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_watch_with(c.c(), s, o, cancel, out, err)
	})
}

// watch is what a call makes.
func (a *ask) watch(ctx context.Context,
	call func(cancel *C.xcp_cancel, out **C.xcp_watch, err **C.xcp_error) C.xcp_status) (*Watch, error) {
	var out *C.xcp_watch
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status { return call(cancel, &out, err) })
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_watch_free((*C.xcp_watch)(p)) }
	return &Watch{made(unsafe.Pointer(out), free)}, nil
}

// Poll waits a while for changes; it tells how many Next has without waiting.
func (w *Watch) Poll(ctx context.Context) (int, error) {
	var count C.size_t
	err := on(w.handle).within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_watch_poll(w.c(), cancel, &count, err)
	})
	return int(count), err
}

// Next waits for the next change; the context ends the wait and not the watch.
func (w *Watch) Next(ctx context.Context) (Change, error) {
	var change Change
	err := on(w.handle).decodedWithin(ctx, &change, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_watch_next(w.c(), cancel, out, err)
	})
	return change, err
}

// Snapshot is the pool as it was after the change that came last, or a little later.
func (w *Watch) Snapshot() (*Snapshot, error) {
	var out *C.xcp_snapshot
	err := on(w.handle).run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_watch_snapshot(w.c(), &out, err)
	})
	if err != nil {
		return nil, err
	}
	return newSnapshot(out), nil
}

// Cancel ends the watch: Next gives an error from now on, also to who waits in it.
func (w *Watch) Cancel() {
	_ = on(w.handle).run(func(**C.xcp_error) C.xcp_status {
		C.xcp_watch_cancel(w.c())
		return C.XCP_OK
	})
}
