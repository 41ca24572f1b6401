// Package xcppool decides about resource pools of XCP-ng and XenServer hosts, then acts.
//
// It wraps the C library libxcp_pool by cgo. Build it with
//
//	CGO_CFLAGS=-I.../include CGO_LDFLAGS="-L.../target/debug -Wl,-rpath,.../target/debug"
//
// What holds something of the library is an io.Closer; closing twice is fine. Calls that may wait take a
// context, whose end ends them. Errors are *Error, for errors.As. What goes in and comes out as JSON is any
// value that encoding/json takes, in the form that the header tells; bytes go in as they are.
package xcppool

// #cgo LDFLAGS: -lxcp_pool
// #include "glue.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

func init() {
	if abi := C.xcp_abi_version(); abi != C.XCP_ABI_VERSION {
		panic(fmt.Sprintf("xcppool: the library has ABI %d, this package needs %d", abi, C.XCP_ABI_VERSION))
	}
}

// Version is the library's.
func Version() string { return C.GoString(C.xcp_version()) }

// Error is what went wrong. Code and Params are those of the server's fault, if it raised one; Evidence
// is what was seen before an operation was given up.
type Error struct {
	Status   string // such as XCP_E_TIMEOUT
	Message  string
	Code     string
	Params   []string
	Evidence []string
	// LoginFailure is what a failed login means ("unreachable", "bad-password", "emergency", ...), else "".
	LoginFailure string
	// Mismatch is the certificate that was shown in place of the trusted one, if it is about that.
	Mismatch *Mismatch
	cause    error
}

// Mismatch is a certificate that is not the trusted one; nothing is expected if an authority should have signed.
type Mismatch struct {
	Host     string
	Expected []string
	Actual   string
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the context's error if the context ended the call.
func (e *Error) Unwrap() error { return e.cause }

func failure(status C.xcp_status, err *C.xcp_error) error {
	if status == C.XCP_OK {
		return nil
	}
	defer C.xcp_error_free(err)
	e := &Error{
		Status:  C.GoString(C.xcp_status_name(C.uint32_t(status))),
		Message: C.GoString(C.xcp_error_message(err)),
	}
	if code := C.xcp_error_fault_code(err); code != nil {
		e.Code = C.GoString(code)
	}
	_ = json.Unmarshal([]byte(C.GoString(C.xcp_error_fault_params_json(err))), &e.Params)
	_ = json.Unmarshal([]byte(C.GoString(C.xcp_error_evidence_json(err))), &e.Evidence)
	e.LoginFailure = C.GoString(C.xcp_error_login_failure(err))
	if mismatch := C.xcp_error_mismatch_json(err); mismatch != nil {
		_ = json.Unmarshal([]byte(C.GoString(mismatch)), &e.Mismatch)
	}
	return e
}

// handle is an object of the library, which is freed once.
type handle struct {
	mutex   sync.RWMutex
	pointer unsafe.Pointer
	free    func(unsafe.Pointer)
}

func made(pointer unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	h := &handle{pointer: pointer, free: free}
	runtime.SetFinalizer(h, func(h *handle) { _ = h.Close() })
	return h
}

// Close gives back what the library holds.
func (h *handle) Close() error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.pointer != nil {
		h.free(h.pointer)
		h.pointer = nil
		runtime.SetFinalizer(h, nil)
	}
	return nil
}

// get is NULL once closed, for which the library returns an error.
func (h *handle) get() unsafe.Pointer {
	h.mutex.RLock()
	defer h.mutex.RUnlock()
	return h.pointer
}
