package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"encoding/json"
	"time"
	"unsafe"
)

// Role is what a host says that it is.
type Role struct {
	Role   string // "master" or "member"
	Pool   string // the uuid of a master's pool
	Master string // the address of a member's master, which may be long dead
}

// Limits are how long a call may take and how large its reply may be; what is left out is as the header tells.
type Limits struct {
	Timeout  time.Duration
	MaxReply uint64 // bytes
}

func (l Limits) json() any {
	options := map[string]any{}
	if l.MaxReply != 0 {
		options["max_reply"] = l.MaxReply
	}
	seconds(options, "timeout", l.Timeout)
	return options
}

// Probe asks one host what it is, by logging in there and nowhere else.
func Probe(ctx context.Context, way *Transport, address, user, password string, limits Limits) (*Role, error) {
	a := on(way.handle)
	at, u, p, o := a.text(address), a.text(user), a.text(password), a.json(limits.json())
	role := new(Role)
	return role, a.decodedWithin(ctx, role, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_probe_json(way.c(), at, u, p, o, cancel, out, err)
	})
}

// RoleOf asks another host of the pool what it is, by the address that the pool knows it by.
func (c *Client) RoleOf(ctx context.Context, address string) (*Role, error) {
	a := on(c.handle)
	at := a.text(address)
	role := new(Role)
	return role, a.decodedWithin(ctx, role, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_role_json(c.c(), at, cancel, out, err)
	})
}

// Locate tells where a host really is that the pool knows by an address.
func (c *Client) Locate(address string) (string, error) {
	a := on(c.handle)
	at := a.text(address)
	return a.said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_locate(c.c(), at, out, err)
	})
}

// Beside logs in at another host, or at the master that it names, whatever pool that is.
func (c *Client) Beside(ctx context.Context, address string) (*Client, error) {
	a := on(c.handle)
	at := a.text(address)
	var out *C.xcp_client
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_beside(c.c(), at, cancel, &out, err)
	})
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_client_free((*C.xcp_client)(p)) }
	return &Client{made(unsafe.Pointer(out), free)}, nil
}

// Evidence asks every host of a snapshot what it is, for Snapshot.Election and Snapshot.PlanHandOver.
func (c *Client) Evidence(ctx context.Context, snapshot *Snapshot) (json.RawMessage, error) {
	var told json.RawMessage
	err := on(c.handle, snapshot.handle).decodedWithin(ctx, &told,
		func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
			return C.xcp_evidence_json(c.c(), snapshot.c(), cancel, out, err)
		})
	return told, err
}

// LocalSession is a session with one host alone, whatever its role: also with a member, also in emergency mode.
type LocalSession struct{ *handle }

func (s *LocalSession) c() *C.xcp_local_session { return (*C.xcp_local_session)(s.get()) }

// local is what a call makes.
func (a *ask) local(ctx context.Context,
	call func(cancel *C.xcp_cancel, out **C.xcp_local_session, err **C.xcp_error) C.xcp_status) (*LocalSession, error) {
	var out *C.xcp_local_session
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status { return call(cancel, &out, err) })
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_local_session_free((*C.xcp_local_session)(p)) }
	return &LocalSession{made(unsafe.Pointer(out), free)}, nil
}

// OpenLocal logs in at one host alone.
func OpenLocal(ctx context.Context, way *Transport, address, user, password string, limits Limits) (*LocalSession, error) {
	a := on(way.handle)
	at, u, p, o := a.text(address), a.text(user), a.text(password), a.json(limits.json())
	return a.local(ctx, func(cancel *C.xcp_cancel, out **C.xcp_local_session, err **C.xcp_error) C.xcp_status {
		return C.xcp_local_session_open(way.c(), at, u, p, o, cancel, out, err)
	})
}

// Local logs in at one host alone, in the client's name.
func (c *Client) Local(ctx context.Context, address string) (*LocalSession, error) {
	a := on(c.handle)
	at := a.text(address)
	return a.local(ctx, func(cancel *C.xcp_cancel, out **C.xcp_local_session, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_local(c.c(), at, cancel, out, err)
	})
}

// Endpoint is the host's address.
func (s *LocalSession) Endpoint() (string, error) {
	return on(s.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_local_session_endpoint(s.c(), out, err)
	})
}

// Call calls a method of XAPI at the host, once; its result goes into result, which may be nil.
func (s *LocalSession) Call(ctx context.Context, result any, method string, params ...any) error {
	a := on(s.handle)
	m, p := a.text(method), a.json(append([]any{}, params...))
	return a.decodedWithin(ctx, result, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_local_session_call_json(s.c(), m, p, cancel, out, err)
	})
}

// IsInEmergencyMode says whether the host has lost its pool.
func (s *LocalSession) IsInEmergencyMode(ctx context.Context) (bool, error) {
	var emergency C.bool
	err := on(s.handle).within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_local_session_is_in_emergency_mode(s.c(), cancel, &emergency, err)
	})
	return bool(emergency), err
}

// Task is a call that runs in the server as a task; closing leaves it running.
type Task struct{ *handle }

func (t *Task) c() *C.xcp_task { return (*C.xcp_task)(t.get()) }

// Start starts a method of XAPI as a task, and does not wait for it.
func (c *Client) Start(ctx context.Context, method string, params ...any) (*Task, error) {
	a := on(c.handle)
	m, p := a.text(method), a.json(append([]any{}, params...))
	var out *C.xcp_task
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_client_start(c.c(), m, p, cancel, &out, err)
	})
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_task_free((*C.xcp_task)(p)) }
	return &Task{made(unsafe.Pointer(out), free)}, nil
}

// Ref is the task's ref; "" once it is closed.
func (t *Task) Ref() (ref string) {
	_ = on(t.handle).run(func(**C.xcp_error) C.xcp_status {
		ref = C.GoString(C.xcp_task_ref(t.c()))
		return C.XCP_OK
	})
	return ref
}

// Decode puts the task as it stands into a value, in XAPI's names.
func (t *Task) Decode(ctx context.Context, into any) error {
	return on(t.handle).decodedWithin(ctx, into, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_task_record_json(t.c(), cancel, out, err)
	})
}

// Cancel asks the server to cancel the task; many operations never look whether they should.
func (t *Task) Cancel(ctx context.Context) error {
	return on(t.handle).within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_task_cancel(t.c(), cancel, err)
	})
}

// Wait waits for the task's end; its result goes into result, and progress, from 0 to 1, may be nil. When the
// context ends, so does the wait, and not the task: waiting again goes on.
func (t *Task) Wait(ctx context.Context, result any, progress func(float64)) error {
	ctx, told := observe(ctx, progress)
	defer told.end()
	return on(t.handle).decodedWithin(ctx, result, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_task_wait_json(t.c(), C.glue_task_progress(told.handle), C.glue_ctx(told.handle), cancel, out, err)
	})
}
