package xcppool

// #include "glue.h"
import "C"

import (
	"encoding/json"
	"runtime"
	"unsafe"
)

// Snapshot is the records of one pool at one moment.
type Snapshot struct{ *handle }

func newSnapshot(out *C.xcp_snapshot) *Snapshot {
	free := func(p unsafe.Pointer) { C.xcp_snapshot_free((*C.xcp_snapshot)(p)) }
	return &Snapshot{made(unsafe.Pointer(out), free)}
}

func (s *Snapshot) c() *C.xcp_snapshot {
	if s == nil {
		return nil
	}
	return (*C.xcp_snapshot)(s.get())
}

// LoadSnapshot loads {class: {ref: record}}; complete fills in what people leave out.
func LoadSnapshot(source any, complete bool) (*Snapshot, error) {
	a := on()
	text := a.json(source)
	var out *C.xcp_snapshot
	err := a.run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_snapshot_from_json(text, C.bool(complete), &out, err)
	})
	if err != nil {
		return nil, err
	}
	return newSnapshot(out), nil
}

// JSON is what LoadSnapshot loads.
func (s *Snapshot) JSON() (json.RawMessage, error) {
	text, err := on(s.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_snapshot_to_json(s.c(), out, err)
	})
	return json.RawMessage(text), err
}

// Count tells how many records of a class there are, such as "SR".
func (s *Snapshot) Count(class string) (int, error) {
	a := on(s.handle)
	name := a.text(class)
	var count C.size_t
	err := a.run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_snapshot_count(s.c(), name, &count, err)
	})
	return int(count), err
}

// Overview is a pool in a few numbers and names.
type Overview struct {
	Master        string
	MasterAddress string   `json:"master_address"`
	Hosts         []string // the master first
	SRs           []string
	Networks      []string
	VMs           []string
}

// Overview tells the pool in a few numbers and names.
func (s *Snapshot) Overview() (*Overview, error) {
	told := new(Overview)
	return told, on(s.handle).decoded(told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_snapshot_overview_json(s.c(), out, err)
	})
}

// Election tells whom to make master, "planned" or in an "emergency"; evidence, as of Client.Evidence, may be nil.
func (s *Snapshot) Election(mode string, evidence, decision any) error {
	a := on(s.handle)
	m, e := a.text(mode), a.json(evidence)
	return a.decoded(decision, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_election(s.c(), m, e, out, err)
	})
}

// Failover asks the planner of HA calls and questions, as the header tells.
func (s *Snapshot) Failover(questions, outcome any) error {
	a := on(s.handle)
	q := a.json(questions)
	return a.decoded(outcome, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_failover(s.c(), q, out, err)
	})
}

// Ask asks the planner of HA one question, such as {"ask": "if-host-leaves", "host": "ignite"}; what the planner
// raises is an *Error with its code.
func (s *Snapshot) Ask(question, answer any) error {
	var told struct {
		Answers []struct {
			Ok    json.RawMessage
			Error *struct {
				Code   string
				Params []string
			}
		}
	}
	if err := s.Failover(map[string]any{"questions": []any{question}}, &told); err != nil {
		return err
	}
	only := told.Answers[0]
	if fault := only.Error; fault != nil {
		return &Error{Status: "XCP_E_FAULT", Message: fault.Code, Code: fault.Code, Params: fault.Params}
	}
	return decode(string(only.Ok), answer)
}

// Problem is a record that could not be read.
type Problem struct{ Class, Ref, Message string }

// Problems are what could not be read of the source.
func (s *Snapshot) Problems() ([]Problem, error) {
	var told struct{ Problems []Problem }
	err := on(s.handle).decoded(&told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_snapshot_problems_json(s.c(), out, err)
	})
	return told.Problems, err
}

// Verdict says whether a host may join.
type Verdict string

// What a report can come to.
const (
	Ready      Verdict = "ready"       // nothing stands in the way
	Unknown    Verdict = "unknown"     // nothing that is known does, but evidence is missing
	NeedsForce Verdict = "needs-force" // only pool.join_force would pass
	Blocked    Verdict = "blocked"     // something stands in the way
)

// Report is what a preflight found.
type Report struct{ *handle }

func (r *Report) c() *C.xcp_report { return (*C.xcp_report)(r.get()) }

// NewReport asks whether a host may join a pool; options may be nil.
func NewReport(pool, host *Snapshot, options any) (*Report, error) {
	a := on(pool.handle, host.handle)
	o := a.json(options)
	var out *C.xcp_report
	err := a.run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_preflight(pool.c(), host.c(), o, &out, err)
	})
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_report_free((*C.xcp_report)(p)) }
	return &Report{made(unsafe.Pointer(out), free)}, nil
}

// Verdict says whether the host may join; "" once the report is closed.
func (r *Report) Verdict() Verdict {
	defer runtime.KeepAlive(r)
	switch C.xcp_report_verdict(r.c()) {
	case C.XCP_VERDICT_READY:
		return Ready
	case C.XCP_VERDICT_UNKNOWN:
		return Unknown
	case C.XCP_VERDICT_NEEDS_FORCE:
		return NeedsForce
	case C.XCP_VERDICT_BLOCKED:
		return Blocked
	}
	return ""
}

// Blocking is how many findings stand in the way.
func (r *Report) Blocking() int {
	defer runtime.KeepAlive(r)
	return int(C.xcp_report_blocking_count(r.c()))
}

// Findings is how many findings there are.
func (r *Report) Findings() int {
	defer runtime.KeepAlive(r)
	return int(C.xcp_report_finding_count(r.c()))
}

// Decode puts the report into a value: findings, predicted fault and all, as the header tells.
func (r *Report) Decode(into any) error {
	return on(r.handle).decoded(into, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_report_json(r.c(), out, err)
	})
}

// Consequences foretells what the join will do to the pool.
func (r *Report) Consequences(into any) error {
	return on(r.handle).decoded(into, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_report_consequences_json(r.c(), out, err)
	})
}

// ConsequencesMarkdown foretells the same for a ticket or a wiki.
func (r *Report) ConsequencesMarkdown() (string, error) {
	return on(r.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_report_consequences_markdown(r.c(), out, err)
	})
}

// PoolAfter is the pool as it will be once the host has joined, to ask further questions of.
func (r *Report) PoolAfter() (*Snapshot, error) {
	var out *C.xcp_snapshot
	err := on(r.handle).run(func(err **C.xcp_error) C.xcp_status { return C.xcp_report_pool_after(r.c(), &out, err) })
	if err != nil {
		return nil, err
	}
	return newSnapshot(out), nil
}

// Text is the report for people.
func (r *Report) Text() (string, error) {
	return on(r.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_report_text(r.c(), out, err)
	})
}

// Markdown is the report for a ticket or a wiki.
func (r *Report) Markdown() (string, error) {
	return on(r.handle).said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_report_markdown(r.c(), out, err)
	})
}

// Plan makes the steps that make the join possible, and the join; choices may be nil.
func (r *Report) Plan(choices any) (*Plan, error) {
	a := on(r.handle)
	c := a.json(choices)
	return a.plan(func(out **C.xcp_plan, err **C.xcp_error) C.xcp_status {
		return C.xcp_plan_join(r.c(), c, out, err)
	})
}
