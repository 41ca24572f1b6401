package xcppool

// #include "glue.h"
import "C"

// Preflight asks whether a host may join a pool: snapshots and options as the header tells, options may
// be nil; the report goes into report.
func Preflight(pool, host, options, report any) error {
	a := on()
	p, h, o := a.json(pool), a.json(host), a.json(options)
	return a.decoded(report, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_preflight_json(p, h, o, out, err)
	})
}

// Consequences foretells what the join will do to the pool; it takes what Preflight takes.
func Consequences(pool, host, options, consequences any) error {
	a := on()
	p, h, o := a.json(pool), a.json(host), a.json(options)
	return a.decoded(consequences, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_consequences_json(p, h, o, out, err)
	})
}

// Partition tells which hosts of an HA pool survive.
func Partition(question, outcome any) error {
	a := on()
	q := a.json(question)
	return a.decoded(outcome, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_partition_json(q, out, err)
	})
}

// Failover asks the planner of HA.
func Failover(question, outcome any) error {
	a := on()
	q := a.json(question)
	return a.decoded(outcome, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_failover_json(q, out, err)
	})
}

// Rule is what the preflight checks.
type Rule struct {
	Rule, Compares, Remedy, Severity, Side string
	// XapiCheck is the function of XAPI that it mirrors, and Error the code that that raises.
	XapiCheck  *string `json:"xapi_check"`
	Error      *string
	Since      *string // the release of XAPI that brought it, where not every one has it
	Documented bool    // the vendor's documents demand it
}

// Rules are all rules of the preflight, in the order of reports.
func Rules() ([]Rule, error) {
	var told struct{ Rules []Rule }
	err := on().decoded(&told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_rules_json(out, err)
	})
	return told.Rules, err
}

// MasterLock plays one host's side of the master lock of HA, as the header tells.
func MasterLock(game, state any) error {
	a := on()
	g := a.json(game)
	return a.decoded(state, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_master_lock_json(g, out, err)
	})
}

// Packing tells whether VMs keep a place when hosts fail, by sizes alone, as the header tells.
func Packing(sizes, outcome any) error {
	a := on()
	s := a.json(sizes)
	return a.decoded(outcome, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_packing_json(s, out, err)
	})
}

// Election tells whom to make master.
func Election(question, decision any) error {
	a := on()
	q := a.json(question)
	return a.decoded(decision, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_election_json(q, out, err)
	})
}
