package xcppool

// #include "glue.h"
import "C"

import (
	"encoding/json"
	"runtime"
	"time"
	"unsafe"
)

// Simulator is hosts in memory that answer as real ones were recorded to.
type Simulator struct{ *handle }

func (s *Simulator) c() *C.xcp_simulator { return (*C.xcp_simulator)(s.get()) }

// simulator is what a call makes.
func (a *ask) simulator(call func(out **C.xcp_simulator, err **C.xcp_error) C.xcp_status) (*Simulator, error) {
	var out *C.xcp_simulator
	if err := a.run(func(err **C.xcp_error) C.xcp_status { return call(&out, err) }); err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_simulator_free((*C.xcp_simulator)(p)) }
	return &Simulator{made(unsafe.Pointer(out), free)}, nil
}

// Story is Phantom, master of a pool, and Ignite, who should join it; root's password is "xcp-test".
func Story(seed uint64) (*Simulator, error) {
	return on().simulator(func(out **C.xcp_simulator, err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_story(C.uint64_t(seed), out, err)
	})
}

// NewSimulator is pools of one's own, told as the header does.
func NewSimulator(spec any) (*Simulator, error) {
	a := on()
	text := a.json(spec)
	return a.simulator(func(out **C.xcp_simulator, err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_new(text, out, err)
	})
}

// Transport is the way to its hosts.
func (s *Simulator) Transport() (*Transport, error) {
	return on(s.handle).transport(func(out **C.xcp_transport, err **C.xcp_error) C.xcp_status {
		return C.xcp_transport_simulator(s.c(), out, err)
	})
}

// Now is how much time has passed in the world since it began.
func (s *Simulator) Now() time.Duration {
	defer runtime.KeepAlive(s)
	return time.Duration(float64(C.xcp_simulator_now(s.c())) * float64(time.Second))
}

// Advance lets time pass; what becomes due happens.
func (s *Simulator) Advance(by time.Duration) error {
	return on(s.handle).run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_advance(s.c(), C.double(by.Seconds()), err)
	})
}

// PowerOff cuts the power of a host.
func (s *Simulator) PowerOff(host string) error {
	a := on(s.handle)
	name := a.text(host)
	return a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_simulator_power_off(s.c(), name, err) })
}

// PowerOn switches a host on again.
func (s *Simulator) PowerOn(host string) error {
	a := on(s.handle)
	name := a.text(host)
	return a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_simulator_power_on(s.c(), name, err) })
}

// RestartToolstack restarts the toolstack of a host.
func (s *Simulator) RestartToolstack(host string) error {
	a := on(s.handle)
	name := a.text(host)
	return a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_simulator_restart_toolstack(s.c(), name, err) })
}

// Cut cuts the network between two hosts; "" is whoever looks at the world from outside.
func (s *Simulator) Cut(one, other string) error {
	a := on(s.handle)
	from, to := a.optional(one), a.optional(other)
	return a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_simulator_cut(s.c(), from, to, err) })
}

// Heal mends the network between two hosts; "" is whoever looks at the world from outside.
func (s *Simulator) Heal(one, other string) error {
	a := on(s.handle)
	from, to := a.optional(one), a.optional(other)
	return a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_simulator_heal(s.c(), from, to, err) })
}

// Trouble has requests go wrong, by a rule as the header tells.
func (s *Simulator) Trouble(rule any) error {
	a := on(s.handle)
	text := a.json(rule)
	return a.run(func(err **C.xcp_error) C.xcp_status { return C.xcp_simulator_trouble(s.c(), text, err) })
}

// Count tells how many objects of a class a host's database has.
func (s *Simulator) Count(host, class string) (int, error) {
	a := on(s.handle)
	name, of := a.text(host), a.text(class)
	var count C.size_t
	err := a.run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_count(s.c(), name, of, &count, err)
	})
	return int(count), err
}

// SimulatedHost is what a host takes itself for, whatever the databases say.
type SimulatedHost struct {
	Role   string  // "master", "slave" or "broken"
	Master *string // the address that it follows
	// Emergency is why it is in emergency mode, if it is.
	Emergency *struct {
		Code   string
		Params []string
	}
	NetworkBackend string `json:"network_backend"`
	Address        string
	Power, Running bool    // whether the machine has power, and its toolstack runs
	PoolUUID       *string `json:"pool_uuid"` // nil while it cannot reach its master
	// HA is what HA is to it; nil if its pool has none.
	HA *struct {
		Armed, Online  bool
		LiveSet        []string `json:"live_set"`
		Hears, Sees    []string
		HandlesFault   bool `json:"handles_fault"`
		WithoutStorage bool `json:"without_storage"`
		HoldsLock      bool `json:"holds_lock"`
		Master         *string
	}
}

// Host tells what a host takes itself for.
func (s *Simulator) Host(host string) (*SimulatedHost, error) {
	a := on(s.handle)
	name := a.text(host)
	told := new(SimulatedHost)
	return told, a.decoded(told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_host_json(s.c(), name, out, err)
	})
}

// Database is the one that a host works on, as LoadSnapshot takes it.
func (s *Simulator) Database(host string) (json.RawMessage, error) {
	a := on(s.handle)
	name := a.text(host)
	text, err := a.said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_simulator_database_json(s.c(), name, out, err)
	})
	return json.RawMessage(text), err
}
