package xcppool

/*
#include <stdlib.h>
#include "xcp_pool.h"

void xcpGoProgress(void *ctx, char *json);

static void planned_progress(void *ctx, const char *json) { xcpGoProgress(ctx, (char *)json); }

static xcp_status run(const xcp_client *pool, const xcp_plan *plan, const char *consent, uintptr_t ctx,
	const xcp_cancel *cancel, char **out, xcp_error **error) {
	return xcp_run(pool, plan, consent, NULL, ctx ? planned_progress : NULL, (void *)ctx, cancel, out, error);
}

static xcp_status recover_pool(const xcp_transport *way, const char *hosts, const char *user,
	const char *password, const xcp_snapshot *last, const xcp_plan *plan, const char *consent, uintptr_t ctx,
	const xcp_cancel *cancel, char **out, xcp_error **error) {
	return xcp_recover(way, hosts, user, password, last, plan, consent, NULL, ctx ? planned_progress : NULL,
		(void *)ctx, cancel, out, error);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

func newPlan(out *C.xcp_plan) *Plan {
	free := func(p unsafe.Pointer) { C.xcp_plan_free((*C.xcp_plan)(p)) }
	return &Plan{made(unsafe.Pointer(out), free)}
}

// PlanEject tells what the ejection of a host takes with it; the snapshot is of scope "everything".
func (s *Snapshot) PlanEject(host string) (*Plan, error) {
	var t texts
	defer t.free()
	var out *C.xcp_plan
	var err *C.xcp_error
	status := C.xcp_plan_eject((*C.xcp_snapshot)(s.get()), t.of(host), &out, &err)
	runtime.KeepAlive(s)
	if status != C.XCP_OK {
		return nil, failure(status, err)
	}
	return newPlan(out), nil
}

// PlanMaintenance plans to disable, empty, reboot and enable a host; the snapshot is of scope "everything".
func (s *Snapshot) PlanMaintenance(host string) (*Plan, error) {
	var t texts
	defer t.free()
	var out *C.xcp_plan
	var err *C.xcp_error
	status := C.xcp_plan_maintenance((*C.xcp_snapshot)(s.get()), t.of(host), &out, &err)
	runtime.KeepAlive(s)
	if status != C.XCP_OK {
		return nil, failure(status, err)
	}
	return newPlan(out), nil
}

// PlanRecovery plans another master for a pool that lost its own, of which this is the last snapshot; the
// evidence is that of a Diagnosis.
func (s *Snapshot) PlanRecovery(evidence any) (*Plan, error) {
	var t texts
	defer t.free()
	e, err := t.json(evidence)
	if err != nil {
		return nil, err
	}
	var out *C.xcp_plan
	var cErr *C.xcp_error
	status := C.xcp_plan_recovery((*C.xcp_snapshot)(s.get()), e, &out, &cErr)
	runtime.KeepAlive(s)
	if status != C.XCP_OK {
		return nil, failure(status, cErr)
	}
	return newPlan(out), nil
}

// PlanHandOver plans to make a host the master; it asks every host of the pool.
func (c *Client) PlanHandOver(ctx context.Context, host string) (*Plan, error) {
	var t texts
	defer t.free()
	name := t.of(host)
	var out *C.xcp_plan
	err := under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.xcp_plan_hand_over((*C.xcp_client)(c.get()), name, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(c)
	if err != nil {
		return nil, err
	}
	return newPlan(out), nil
}

// Run runs the plan of an ejection, a hand-over or a maintenance, and decodes what came of it into result,
// which may be nil; consent and progress are those of Join.
func (c *Client) Run(ctx context.Context, result any, plan *Plan, consent string, progress func(Progress)) error {
	var t texts
	defer t.free()
	agreed := t.optional(consent)
	told, forget := observed(progress)
	defer forget()
	var out *C.char
	err := under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.run((*C.xcp_client)(c.get()), (*C.xcp_plan)(plan.get()), agreed, told, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(c)
	runtime.KeepAlive(plan)
	if err != nil {
		return err
	}
	return decode(out, result)
}

// Members is where the hosts of a pool are, and in whose name they are asked.
type Members struct {
	Way            *Transport
	Hosts          []string
	User, Password string
	// Last is a snapshot from when a master answered; a diagnosis can do without.
	Last *Snapshot
}

// Diagnosis is the state that a pool is in.
type Diagnosis struct {
	State    json.RawMessage
	Hosts    []json.RawMessage
	Evidence map[string]any
	// Text is the same for people.
	Text string `json:"-"`
}

// Diagnose says in what state the pool is, also when no master answers.
func (m *Members) Diagnose(ctx context.Context) (*Diagnosis, error) {
	var t texts
	defer t.free()
	hosts, err := t.json(m.Hosts)
	if err != nil {
		return nil, err
	}
	user, password := t.of(m.User), t.of(m.Password)
	var out, text *C.char
	err = under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.xcp_diagnose((*C.xcp_transport)(m.Way.get()), hosts, user, password, m.last(), cancel,
			&out, &text, &cErr)
		return
	})
	runtime.KeepAlive(m)
	if err != nil {
		return nil, err
	}
	diagnosis := &Diagnosis{Text: take(text)}
	return diagnosis, decode(out, diagnosis)
}

// Recovered is a pool that has a master again.
type Recovered struct {
	Master, Address string
	AlreadyMaster   bool `json:"already_master"`
	Members         []struct {
		Host, Name, Says string
		Follows          bool
	}
	// Remaining is what a person has to see to.
	Remaining []json.RawMessage
}

// Recover gives the pool the master that is planned, and looks at every member; as Join.
func (m *Members) Recover(ctx context.Context, plan *Plan, consent string, progress func(Progress)) (*Recovered, error) {
	var t texts
	defer t.free()
	hosts, err := t.json(m.Hosts)
	if err != nil {
		return nil, err
	}
	user, password, agreed := t.of(m.User), t.of(m.Password), t.optional(consent)
	told, forget := observed(progress)
	defer forget()
	var out *C.char
	err = under(ctx, func(cancel *C.xcp_cancel) (status C.xcp_status, cErr *C.xcp_error) {
		status = C.recover_pool((*C.xcp_transport)(m.Way.get()), hosts, user, password, m.last(),
			(*C.xcp_plan)(plan.get()), agreed, told, cancel, &out, &cErr)
		return
	})
	runtime.KeepAlive(m)
	runtime.KeepAlive(plan)
	if err != nil {
		return nil, err
	}
	recovered := new(Recovered)
	return recovered, decode(out, recovered)
}

func (m *Members) last() *C.xcp_snapshot {
	if m.Last == nil {
		return nil
	}
	return (*C.xcp_snapshot)(m.Last.get())
}

// optional is NULL for "".
func (t *texts) optional(text string) *C.char {
	if text == "" {
		return nil
	}
	return t.of(text)
}

// observed lets C find an observer, until it is forgotten.
func observed(progress func(Progress)) (C.uintptr_t, func()) {
	if progress == nil {
		return 0, func() {}
	}
	observer := cgo.NewHandle(progress)
	return C.uintptr_t(observer), observer.Delete
}
