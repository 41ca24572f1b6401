package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"unsafe"
)

// Joins are plans of several joins, each for the pool as it will be after those before it.
type Joins struct{ *handle }

func (j *Joins) c() *C.xcp_joins { return (*C.xcp_joins)(j.get()) }

// joins is what a call makes.
func (a *ask) joins(call func(out **C.xcp_joins, err **C.xcp_error) C.xcp_status) (*Joins, error) {
	var out *C.xcp_joins
	if err := a.run(func(err **C.xcp_error) C.xcp_status { return call(&out, err) }); err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_joins_free((*C.xcp_joins)(p)) }
	return &Joins{made(unsafe.Pointer(out), free)}, nil
}

// PlanJoinMany plans that hosts join a pool, one after the other in the order of their reports; choices, for
// all or a list of one each, may be nil.
func PlanJoinMany(reports []*Report, choices any) (*Joins, error) {
	about := make([]*handle, len(reports))
	array := make([]*C.xcp_report, len(reports)+1)
	for n, report := range reports {
		about[n], array[n] = report.handle, report.c()
	}
	a := on(about...)
	chosen := a.json(choices)
	return a.joins(func(out **C.xcp_joins, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_join_many(&array[0], C.size_t(len(reports)), chosen, out, err)
	})
}

// LoadJoins loads what Joins.JSON saved.
func LoadJoins(saved any) (*Joins, error) {
	a := on()
	text := a.json(saved)
	return a.joins(func(out **C.xcp_joins, err **C.xcp_error) C.xcp_status {
		return C.xcp_joins_from_json(text, out, err)
	})
}

// JSON is what LoadJoins loads.
func (j *Joins) JSON() (json.RawMessage, error) {
	text, err := on(j.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_joins_json(j.c(), out, err)
	})
	return json.RawMessage(text), err
}

// Text is the plans for people.
func (j *Joins) Text() (string, error) {
	return on(j.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_joins_text(j.c(), out, err)
	})
}

// Len is how many hosts join.
func (j *Joins) Len() int {
	defer runtime.KeepAlive(j)
	return int(C.xcp_joins_count(j.c()))
}

// Complete says whether nothing is left to a person.
func (j *Joins) Complete() bool {
	defer runtime.KeepAlive(j)
	return bool(C.xcp_joins_is_complete(j.c()))
}

// Plan is a copy of the plan of one host, counted from 0.
func (j *Joins) Plan(index int) (*Plan, error) {
	return on(j.handle).plan(func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status {
		return C.xcp_joins_plan(j.c(), C.size_t(index), out, err)
	})
}

// Losses tells what all joins destroy, for a person to see, and the digest by which that is consented to.
func (j *Joins) Losses() (losses []Loss, digest string, err error) {
	var told struct {
		Digest string
		Losses []Loss
	}
	err = on(j.handle).decoded(&told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_joins_losses_json(j.c(), out, err)
	})
	return told.Losses, told.Digest, err
}

// LossesDigest is what one consents to after one has seen what the joins destroy.
func (j *Joins) LossesDigest() (string, error) {
	return on(j.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_joins_losses_digest(j.c(), out, err)
	})
}

// Digest is of all plans in their order.
func (j *Joins) Digest() (string, error) {
	return on(j.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_joins_digest(j.c(), out, err)
	})
}

// JoinAttempt is what became of one host.
type JoinAttempt struct {
	Host    struct{ UUID, Name string }
	Outcome string  // "done", "not-done", "unknown" or "skipped"
	Joined  *Joined // if it is done
	Reason  string  // if it is not
	Fault   *struct {
		Code   string
		Params []string
	}
	Evidence []string
}

// JoinMany makes the hosts of other clients members of the pool, one after the other, as planned; joined says
// whether all are members. keepGoing tries the hosts after one that did not join; consent and progress are
// those of Join. An error says that it is not known what became of the hosts.
func (c *Client) JoinMany(ctx context.Context, hosts []*Client, joins *Joins, consent string, keepGoing bool,
	progress func(Progress)) (attempts []JoinAttempt, joined bool, err error) {
	about := []*handle{c.handle, joins.handle}
	array := make([]*C.xcp_client, len(hosts)+1)
	for n, host := range hosts {
		about, array[n] = append(about, host.handle), host.c()
	}
	a := on(about...)
	options, _ := deadline(ctx).(map[string]any)
	if options == nil {
		options = map[string]any{}
	}
	if keepGoing {
		options["on_failure"] = "continue"
	}
	agreed, chosen := a.optional(consent), a.json(options)
	ctx, told := observe(ctx, progress)
	defer told.end()
	var all C.bool
	var many struct{ Hosts []JoinAttempt }
	err = a.decodedWithin(ctx, &many, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_join_many(c.c(), &array[0], C.size_t(len(hosts)), joins.c(), agreed, chosen,
			C.glue_progress(told.handle), C.glue_ctx(told.handle), cancel, &all, out, err)
	})
	return many.Hosts, bool(all), err
}
