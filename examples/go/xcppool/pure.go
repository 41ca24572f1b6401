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

// Election tells whom to make master.
func Election(question, decision any) error {
	a := on()
	q := a.json(question)
	return a.decoded(decision, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_election_json(q, out, err)
	})
}
