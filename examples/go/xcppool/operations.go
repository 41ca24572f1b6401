package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"encoding/json"
	"time"
)

// Progress is where an operation stands.
type Progress struct {
	Step, Of int
	Summary  string
	Done     *float64 // from 0 to 1, where that is known
	Awaited  *string
	Elapsed  float64 // seconds
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
	a := on(c.handle, host.handle, plan.handle)
	agreed, options := a.optional(consent), a.json(deadline(ctx))
	ctx, told := observe(ctx, progress)
	defer told.end()
	joined := new(Joined)
	return joined, a.decodedWithin(ctx, joined, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_join(c.c(), host.c(), plan.c(), agreed, options, C.glue_progress(told.handle),
			C.glue_ctx(told.handle), cancel, out, err)
	})
}

// Run runs the plan of an ejection, a hand-over or a maintenance, and decodes what came of it into result,
// which may be nil; consent and progress are those of Join.
func (c *Client) Run(ctx context.Context, result any, plan *Plan, consent string, progress func(Progress)) error {
	a := on(c.handle, plan.handle)
	agreed, options := a.optional(consent), a.json(deadline(ctx))
	ctx, told := observe(ctx, progress)
	defer told.end()
	return a.decodedWithin(ctx, result, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_run(c.c(), plan.c(), agreed, options, C.glue_progress(told.handle), C.glue_ctx(told.handle),
			cancel, out, err)
	})
}

// Members is where the hosts of a pool are, and in whose name they are asked.
type Members struct {
	Way            *Transport
	Hosts          []string
	User, Password string
	// Last is a snapshot from when a master answered; a diagnosis can do without. It is so old, if that is known.
	Last    *Snapshot
	LastAge time.Duration
	// Addresses are where hosts really are that others call by an address.
	Addresses map[string]string
	// Patience is how long one host may take to say what it is; 0 leaves it to the library.
	Patience time.Duration
	// AskWhetherHAIsArmed asks members, by a call that refuses or does nothing: see the header.
	AskWhetherHAIsArmed bool
}

func (m *Members) json() any {
	told := map[string]any{
		"hosts": append([]string{}, m.Hosts...), "ask_whether_ha_is_armed": m.AskWhetherHAIsArmed,
	}
	if m.Addresses != nil {
		told["addresses"] = m.Addresses
	}
	seconds(told, "patience", m.Patience)
	seconds(told, "last_age", m.LastAge)
	return told
}

func (m *Members) about() []*handle {
	about := []*handle{m.Way.handle}
	if m.Last != nil {
		about = append(about, m.Last.handle)
	}
	return about
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
	a := on(m.about()...)
	hosts, user, password := a.json(m.json()), a.text(m.User), a.text(m.Password)
	var text *C.char
	diagnosis := new(Diagnosis)
	err := a.decodedWithin(ctx, diagnosis, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_diagnose(m.Way.c(), hosts, user, password, m.Last.c(), cancel, out, &text, err)
	})
	if text != nil {
		diagnosis.Text = taken(text)
	}
	return diagnosis, err
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
	a := on(append(m.about(), plan.handle)...)
	hosts, user, password := a.json(m.json()), a.text(m.User), a.text(m.Password)
	agreed, options := a.optional(consent), a.json(deadline(ctx))
	ctx, told := observe(ctx, progress)
	defer told.end()
	recovered := new(Recovered)
	return recovered, a.decodedWithin(ctx, recovered, func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_recover(m.Way.c(), hosts, user, password, m.Last.c(), plan.c(), agreed, options,
			C.glue_progress(told.handle), C.glue_ctx(told.handle), cancel, out, err)
	})
}

// deadline is the context's as an option of operations, which can then tell what is known at its end.
func deadline(ctx context.Context) any {
	if end, ok := ctx.Deadline(); ok {
		if left := time.Until(end); left > 0 {
			return map[string]any{"deadline": left.Seconds()}
		}
	}
	return nil
}
