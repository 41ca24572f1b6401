package xcppool

// #include "glue.h"
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// Act does things to the world at one moment, told as the header does; one with "after" happens so many
// seconds later.
func (s *Simulator) Act(acts ...any) error {
	a := on(s.handle)
	text := a.json(append([]any{}, acts...))
	return a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_simulator_act(s.c(), text, err) })
}

// Step does the next thing that is due until a time since the world began; false if there is none.
func (s *Simulator) Step(until time.Duration) (bool, error) {
	var done C.bool
	err := on(s.handle).run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_step(s.c(), C.double(until.Seconds()), &done, err)
	})
	return bool(done), err
}

// WorldState is a world from above.
type WorldState struct {
	Now         float64  // seconds since it began
	Masters     []string // who serves as master, one for each pool if all is well
	LockHolders []string `json:"lock_holders"` // who takes itself for the holder of HA's master lock
	Fenced      []struct {
		At    float64
		Host  string
		Cause string  // "lost", "requested" or "watchdog"
		By    *string // who requested it
	}
	Requests map[string]uint64 // those that reached a host, by method
	Sent     uint64            // those that were sent to anybody
	Writes   uint64
	Sessions []string // the refs of those that are open
}

// State tells the world from above.
func (s *Simulator) State() (*WorldState, error) {
	told := new(WorldState)
	return told, on(s.handle).decoded(told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_state_json(s.c(), out, err)
	})
}

// Front is a simulated world on sockets, for any XAPI client; it ends when it is closed.
type Front struct{ *handle }

func (f *Front) c() *C.xcp_front { return (*C.xcp_front)(f.get()) }

// Serve serves the hosts on sockets of this machine; options are as the header tells, and may be nil.
func (s *Simulator) Serve(options any) (*Front, error) {
	a := on(s.handle)
	o := a.json(options)
	var out *C.xcp_front
	err := a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_front_start(s.c(), o, &out, err) })
	if err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_front_free((*C.xcp_front)(p)) }
	return &Front{made(unsafe.Pointer(out), free)}, nil
}

// ServedHost is where a host is served.
type ServedHost struct {
	Name        string
	Address     string // in the world
	HTTP, HTTPS string // ip:port, "" if it does not speak it
	URL         string
	Fingerprint string // of its certificate, as Pins takes it
}

// Hosts tells where the hosts are served, and where the addresses lead by which they name each other.
func (f *Front) Hosts() (hosts []ServedHost, addresses map[string]string, err error) {
	var told struct {
		Hosts     []ServedHost
		Addresses map[string]string
	}
	err = on(f.handle).decoded(&told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_front_hosts_json(f.c(), out, err)
	})
	return told.Hosts, told.Addresses, err
}

// Served is how many calls were served.
func (f *Front) Served() uint64 {
	defer runtime.KeepAlive(f)
	return uint64(C.xcp_front_served(f.c()))
}

// Connections is how many connections are open.
func (f *Front) Connections() int {
	defer runtime.KeepAlive(f)
	return int(C.xcp_front_connections(f.c()))
}
