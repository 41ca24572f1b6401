package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Transport is the way to hosts.
type Transport struct{ *handle }

func (t *Transport) c() *C.xcp_transport { return (*C.xcp_transport)(t.get()) }

// transport is what a call makes.
func (a *ask) transport(call func(out **C.xcp_transport, err **C.xcp_error) C.xcp_status) (*Transport, error) {
	var out *C.xcp_transport
	if err := a.run(func(err **C.xcp_error) C.xcp_status { return call(&out, err) }); err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_transport_free((*C.xcp_transport)(p)) }
	return &Transport{made(unsafe.Pointer(out), free)}, nil
}

// HTTPSOptions are those of HTTPS; what is left out is as the header tells.
type HTTPSOptions struct {
	ConnectTimeout, StallTimeout, Timeout time.Duration
	// ProxyFromEnvironment takes the proxy from HTTPS_PROXY and its like.
	ProxyFromEnvironment bool
	// DangerAllowPlainHTTP allows http://, on which everybody on the way can read the password.
	DangerAllowPlainHTTP bool
}

func (o HTTPSOptions) json() any {
	options := map[string]any{
		"proxy_from_environment":  o.ProxyFromEnvironment,
		"danger_allow_plain_http": o.DangerAllowPlainHTTP,
	}
	seconds(options, "connect_timeout", o.ConnectTimeout)
	seconds(options, "stall_timeout", o.StallTimeout)
	seconds(options, "timeout", o.Timeout)
	return options
}

// HTTPS goes to real hosts whose certificates the store trusts; nil trusts the system's authorities.
func HTTPS(trust *TrustStore, options HTTPSOptions) (*Transport, error) {
	a := on()
	if trust != nil {
		a = on(trust.handle)
	}
	o := a.json(options.json())
	return a.transport(func(out **C.xcp_transport, err **C.xcp_error) C.xcp_status {
		return C.xcp_transport_https(o, trust.c(), out, err)
	})
}

// Request is to be posted to a URL, as application/json.
type Request struct {
	URL string
	// Body may hold a password: do not log it.
	Body []byte
	// MaxReply is how many bytes the reply may have.
	MaxReply uint64
}

// Exchange posts a request and returns the body of the reply. Its context ends when the time for it is
// over, or nobody wants the reply any more.
type Exchange func(ctx context.Context, request Request) ([]byte, error)

// Custom is a transport of one's own; exchange is called from many goroutines at once.
func Custom(exchange Exchange) (*Transport, error) {
	context := cgo.NewHandle(exchange)
	transport, err := on().transport(func(out **C.xcp_transport, err **C.xcp_error) C.xcp_status {
		return C.glue_transport(C.uintptr_t(context), out, err)
	})
	if err != nil {
		context.Delete()
	}
	return transport, err
}

// TrustStore says which certificates are trusted.
type TrustStore struct{ *handle }

func (s *TrustStore) c() *C.xcp_trust_store {
	if s == nil {
		return nil
	}
	return (*C.xcp_trust_store)(s.get())
}

// store is what a call makes.
func (a *ask) store(call func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status) (*TrustStore, error) {
	var out *C.xcp_trust_store
	if err := a.run(func(err **C.xcp_error) C.xcp_status { return call(&out, err) }); err != nil {
		return nil, err
	}
	free := func(p unsafe.Pointer) { C.xcp_trust_store_free((*C.xcp_trust_store)(p)) }
	return &TrustStore{made(unsafe.Pointer(out), free)}, nil
}

// Authorities trusts certificates that one of these signed, in PEM form.
func Authorities(pem string) (*TrustStore, error) {
	a := on()
	text := a.text(pem)
	return a.store(func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_authorities(text, out, err)
	})
}

// AuthoritiesFile trusts certificates that one of those in a file signed.
func AuthoritiesFile(path string) (*TrustStore, error) {
	a := on()
	text := a.text(path)
	return a.store(func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_authorities_file(text, out, err)
	})
}

// Fingerprint is that of a certificate in DER form, as Pins takes it.
func Fingerprint(certificate []byte) (string, error) {
	var first *C.uint8_t
	if len(certificate) > 0 {
		first = (*C.uint8_t)(unsafe.Pointer(&certificate[0]))
	}
	return on().said(func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_fingerprint(first, C.size_t(len(certificate)), out, err)
	})
}

// RememberMembers has the master, which is trusted on first use, vouch for the certificates of its members; it
// tells how many are remembered. The snapshot is of scope "preflight" or "everything", the port 443 as a rule.
func (t *Transport) RememberMembers(pool *Snapshot, port uint16) (int, error) {
	var count C.size_t
	err := on(t.handle, pool.handle).run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_transport_remember_members(t.c(), pool.c(), C.uint16_t(port), &count, err)
	})
	return int(count), err
}

// Pins trusts certificates with one of these SHA-256 fingerprints.
func Pins(fingerprints ...string) (*TrustStore, error) {
	a := on()
	pins := a.json(append([]string{}, fingerprints...))
	return a.store(func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_pins(pins, out, err)
	})
}

// FirstUse trusts what each host shows first, and remembers it in a file.
func FirstUse(path string) (*TrustStore, error) {
	a := on()
	text := a.text(path)
	return a.store(func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_file(text, out, err)
	})
}

// FirstUseInMemory trusts what each host shows first, and remembers it as long as the store is used.
func FirstUseInMemory() (*TrustStore, error) {
	return on().store(func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_memory(out, err)
	})
}

// PinStore remembers the fingerprints that hosts showed first; hosts are named with their port.
type PinStore interface {
	// Pin is the fingerprint that is remembered for a host, "" if there is none.
	Pin(host string) (string, error)
	// Remember keeps a fingerprint unless there is one already, and returns the one that counts.
	Remember(host, fingerprint string) (string, error)
}

// FirstUseIn trusts what each host shows first, and remembers it in a store of one's own, which is asked
// from many goroutines at once.
func FirstUseIn(pins PinStore) (*TrustStore, error) {
	context := cgo.NewHandle(pins)
	store, err := on().store(func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status {
		return C.glue_trust(C.uintptr_t(context), out, err)
	})
	if err != nil {
		context.Delete()
	}
	return store, err
}

// DangerAcceptAny trusts anybody: who is on the way can be the host, and gets the password.
func DangerAcceptAny() (*TrustStore, error) {
	return on().store(func(out **C.xcp_trust_store, err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_danger_accept_any(out, err)
	})
}

// Pins are what a store that remembers in a file remembers, by host and port.
func (s *TrustStore) Pins() (map[string]string, error) {
	var told struct{ Pins map[string]string }
	err := on(s.handle).decoded(&told, func(out **C.char, err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_pins_json(s.c(), out, err)
	})
	return told.Pins, err
}

// Forget makes a store that remembers in a file forget a host, as "phantom.lan:443".
func (s *TrustStore) Forget(host string) error {
	a := on(s.handle)
	name := a.text(host)
	return a.run(func(err **C.xcp_error) C.xcp_status {
		return C.xcp_trust_store_forget(s.c(), name, err)
	})
}

// seconds puts a time into options, unless it is left out.
func seconds(options map[string]any, name string, time time.Duration) {
	if time != 0 {
		options[name] = time.Seconds()
	}
}
