package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"unsafe"
)

// Plan is what to do, as data.
type Plan struct{ *handle }

func (p *Plan) c() *C.xcp_plan { return (*C.xcp_plan)(p.get()) }

func newPlan(out *C.xcp_plan) *Plan {
	free := func(p unsafe.Pointer) { C.xcp_plan_free((*C.xcp_plan)(p)) }
	return &Plan{made(unsafe.Pointer(out), free)}
}

// plan is what a call makes.
func (a *ask) plan(call func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status) (*Plan, error) {
	var out *C.xcp_plan
	if err := a.run(func(err **C.xcp_error) C.xcp_status { return call(&out, err) }); err != nil {
		return nil, err
	}
	return newPlan(out), nil
}

// LoadPlan loads what Plan.JSON saved.
func LoadPlan(saved any) (*Plan, error) {
	a := on()
	text := a.json(saved)
	return a.plan(func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_from_json(text, out, err)
	})
}

// PlanEject tells what the ejection of a host takes with it; the snapshot is of scope "everything".
func (s *Snapshot) PlanEject(host string) (*Plan, error) {
	a := on(s.handle)
	name := a.text(host)
	return a.plan(func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_eject(s.c(), name, out, err)
	})
}

// PlanMaintenance plans to disable, empty, reboot and enable a host; the snapshot is of scope "everything".
func (s *Snapshot) PlanMaintenance(host string) (*Plan, error) {
	a := on(s.handle)
	name := a.text(host)
	return a.plan(func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_maintenance(s.c(), name, out, err)
	})
}

// PlanRecovery plans another master for a pool that lost its own, of which this is the last snapshot; the
// evidence is that of a Diagnosis.
func (s *Snapshot) PlanRecovery(evidence any) (*Plan, error) {
	a := on(s.handle)
	text := a.json(evidence)
	return a.plan(func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_recovery(s.c(), text, out, err)
	})
}

// PlanHandOver plans to make a host the master from what is known already; evidence may be nil.
func (s *Snapshot) PlanHandOver(host string, evidence any) (*Plan, error) {
	a := on(s.handle)
	name, known := a.text(host), a.json(evidence)
	return a.plan(func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_hand_over_with(s.c(), known, name, out, err)
	})
}

// PlanHandOver plans to make a host the master; it asks every host of the pool.
func (c *Client) PlanHandOver(ctx context.Context, host string) (*Plan, error) {
	a := on(c.handle)
	name := a.text(host)
	var out *C.xcp_plan
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_hand_over(c.c(), name, cancel, &out, err)
	})
	if err != nil {
		return nil, err
	}
	return newPlan(out), nil
}

// JSON is what LoadPlan loads.
func (p *Plan) JSON() (json.RawMessage, error) {
	text, err := on(p.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_json(p.c(), out, err)
	})
	return json.RawMessage(text), err
}

// Text is the plan for people.
func (p *Plan) Text() (string, error) {
	return on(p.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_text(p.c(), out, err)
	})
}

// Steps is how many steps the plan has.
func (p *Plan) Steps() int {
	defer runtime.KeepAlive(p)
	return int(C.xcp_plan_step_count(p.c()))
}

// Complete says whether nothing is left to a person.
func (p *Plan) Complete() bool {
	defer runtime.KeepAlive(p)
	return bool(C.xcp_plan_is_complete(p.c()))
}

// Step is one step of a plan, held against the world as it is.
type Step struct {
	Side, Summary string
	Preconditions []Condition
	Effect        *Condition      // nil where it is more than one object's state
	Undo          json.RawMessage // what takes it back; null if nothing does
}

// Condition is what has to hold; Holds is nil if that is not known.
type Condition struct {
	Condition json.RawMessage
	Holds     *bool
}

// StepsNow tells what each step needs and brings about, by snapshots of both sides as they are now, either of
// which may be nil.
func (p *Plan) StepsNow(pool, host *Snapshot) ([]Step, error) {
	about := []*handle{p.handle}
	for _, side := range []*Snapshot{pool, host} {
		if side != nil {
			about = append(about, side.handle)
		}
	}
	var told struct{ Steps []Step }
	err := on(about...).decoded(&told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_steps_json(p.c(), pool.c(), host.c(), out, err)
	})
	return told.Steps, err
}

// Loss is something that is gone for good once a plan has run.
type Loss struct {
	Kind   string // "certificate", "memory", "network", "sr-content", "vdi" or "vm"
	Object struct{ Class, Ref, UUID, Name string }
	Bytes  *int64 // how much data, where that is known
}

// Losses tells what the plan destroys, for a person to see, and the digest by which that is consented to.
func (p *Plan) Losses() (losses []Loss, digest string, err error) {
	var told struct {
		Digest string
		Losses []Loss
	}
	err = on(p.handle).decoded(&told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_losses_json(p.c(), out, err)
	})
	return told.Losses, told.Digest, err
}

// LossesDigest is what one consents to after one has seen what the plan destroys.
func (p *Plan) LossesDigest() (string, error) {
	return on(p.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_losses_digest(p.c(), out, err)
	})
}

// Digest is of the whole plan: plans with equal digests do the same to the same objects.
func (p *Plan) Digest() (string, error) {
	return on(p.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_digest(p.c(), out, err)
	})
}
