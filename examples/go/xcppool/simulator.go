package xcppool

// #include "xcp_pool.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// Simulator is hosts in memory that answer as real ones were recorded to.
type Simulator struct{ *handle }

// Story is Phantom, master of a pool, and Ignite, who should join it; root's password is "xcp-test".
func Story(seed uint64) (*Simulator, error) {
	var out *C.xcp_simulator
	var err *C.xcp_error
	if status := C.xcp_simulator_story(C.uint64_t(seed), &out, &err); status != C.XCP_OK {
		return nil, failure(status, err)
	}
	return newSimulator(out), nil
}

// NewSimulator is pools of one's own, told as the header does.
func NewSimulator(spec any) (*Simulator, error) {
	var t texts
	defer t.free()
	s, err := t.json(spec)
	if err != nil {
		return nil, err
	}
	var out *C.xcp_simulator
	var cErr *C.xcp_error
	if status := C.xcp_simulator_new(s, &out, &cErr); status != C.XCP_OK {
		return nil, failure(status, cErr)
	}
	return newSimulator(out), nil
}

func newSimulator(out *C.xcp_simulator) *Simulator {
	free := func(p unsafe.Pointer) { C.xcp_simulator_free((*C.xcp_simulator)(p)) }
	return &Simulator{made(unsafe.Pointer(out), free)}
}

// Transport is the way to its hosts.
func (s *Simulator) Transport() (*Transport, error) {
	var out *C.xcp_transport
	var err *C.xcp_error
	status := C.xcp_transport_simulator((*C.xcp_simulator)(s.get()), &out, &err)
	runtime.KeepAlive(s)
	if status != C.XCP_OK {
		return nil, failure(status, err)
	}
	return newTransport(out), nil
}

// Trouble has requests go wrong, by a rule as the header tells.
func (s *Simulator) Trouble(rule any) error {
	var t texts
	defer t.free()
	r, err := t.json(rule)
	if err != nil {
		return err
	}
	var cErr *C.xcp_error
	status := C.xcp_simulator_trouble((*C.xcp_simulator)(s.get()), r, &cErr)
	runtime.KeepAlive(s)
	return failure(status, cErr)
}

// Advance lets time pass, in seconds.
func (s *Simulator) Advance(seconds float64) error {
	var err *C.xcp_error
	status := C.xcp_simulator_advance((*C.xcp_simulator)(s.get()), C.double(seconds), &err)
	runtime.KeepAlive(s)
	return failure(status, err)
}

// PowerOff cuts the power of a host.
func (s *Simulator) PowerOff(host string) error {
	var t texts
	defer t.free()
	var err *C.xcp_error
	status := C.xcp_simulator_power_off((*C.xcp_simulator)(s.get()), t.of(host), &err)
	runtime.KeepAlive(s)
	return failure(status, err)
}

// PowerOn switches a host on again.
func (s *Simulator) PowerOn(host string) error {
	var t texts
	defer t.free()
	var err *C.xcp_error
	status := C.xcp_simulator_power_on((*C.xcp_simulator)(s.get()), t.of(host), &err)
	runtime.KeepAlive(s)
	return failure(status, err)
}

// Count tells how many objects of a class a host's database has.
func (s *Simulator) Count(host, class string) (int, error) {
	var t texts
	defer t.free()
	var count C.size_t
	var err *C.xcp_error
	status := C.xcp_simulator_count((*C.xcp_simulator)(s.get()), t.of(host), t.of(class), &count, &err)
	runtime.KeepAlive(s)
	return int(count), failure(status, err)
}
