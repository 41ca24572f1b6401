package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/cgo"
	"time"
	"unsafe"
)

// observer is told of progress by C; a panic in it ends the call, and goes on after it.
type observer struct {
	handle   C.uintptr_t // 0 if nobody wants to be told
	tell     any         // func(Progress) or func(float64)
	cancel   context.CancelFunc
	panicked any
}

// observe lets C find who is to be told; the context that it returns is the call's.
func observe[T any](ctx context.Context, tell func(T)) (context.Context, *observer) {
	o := &observer{tell: tell}
	if tell == nil {
		return ctx, o
	}
	ctx, o.cancel = context.WithCancel(ctx)
	o.handle = C.uintptr_t(cgo.NewHandle(o))
	return ctx, o
}

// end is called when the call is over.
func (o *observer) end() {
	if o.handle == 0 {
		return
	}
	cgo.Handle(o.handle).Delete()
	o.cancel()
	if o.panicked != nil {
		panic(o.panicked)
	}
}

// guarded runs the observer, unless it panicked before.
func (o *observer) guarded(run func()) {
	defer func() {
		if panicked := recover(); panicked != nil {
			o.panicked = panicked
			o.cancel()
		}
	}()
	if o.panicked == nil {
		run()
	}
}

//export xcpGoProgress
func xcpGoProgress(handle C.uintptr_t, text *C.char) {
	o := behind[*observer](handle)
	o.guarded(func() {
		var progress Progress
		if json.Unmarshal([]byte(C.GoString(text)), &progress) == nil {
			o.tell.(func(Progress))(progress)
		}
	})
}

//export xcpGoTaskProgress
func xcpGoTaskProgress(handle C.uintptr_t, done C.double) {
	o := behind[*observer](handle)
	o.guarded(func() { o.tell.(func(float64))(float64(done)) })
}

//export xcpGoExchange
func xcpGoExchange(handle C.uintptr_t, request *C.xcp_request, reply *C.xcp_reply) {
	answer(reply, C.XCP_E_TRANSPORT, func() ([]byte, error) {
		var length C.size_t
		body := C.GoBytes(unsafe.Pointer(C.xcp_request_body(request, &length)), C.int(length))
		timeout := time.Duration(C.xcp_request_timeout_ms(request)) * time.Millisecond
		within, end := context.WithTimeout(context.Background(), timeout)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for look := time.NewTicker(50 * time.Millisecond); ; {
				select {
				case <-within.Done():
					look.Stop()
					return
				case <-look.C:
					if C.xcp_request_is_cancelled(request) {
						end()
					}
				}
			}
		}()
		defer func() {
			end()
			<-ended // the request is gone after this
		}()
		return behind[Exchange](handle)(within, Request{
			URL: C.GoString(C.xcp_request_url(request)), Body: body,
			MaxReply: uint64(C.xcp_request_max_reply(request)),
		})
	})
}

//export xcpGoPin
func xcpGoPin(handle C.uintptr_t, host *C.char, reply *C.xcp_reply) {
	answer(reply, C.XCP_E_TRUST, func() ([]byte, error) {
		pin, err := behind[PinStore](handle).Pin(C.GoString(host))
		return []byte(pin), err
	})
}

//export xcpGoRemember
func xcpGoRemember(handle C.uintptr_t, host, fingerprint *C.char, reply *C.xcp_reply) {
	answer(reply, C.XCP_E_TRUST, func() ([]byte, error) {
		pin, err := behind[PinStore](handle).Remember(C.GoString(host), C.GoString(fingerprint))
		return []byte(pin), err
	})
}

//export xcpGoRelease
func xcpGoRelease(handle C.uintptr_t) {
	cgo.Handle(handle).Delete()
}

// behind is the value behind the handle of a callback.
func behind[T any](handle C.uintptr_t) T {
	return cgo.Handle(handle).Value().(T)
}

// answer gives C what a function returns; an error, or a panic in it, is told under the given code.
func answer(reply *C.xcp_reply, failed C.uint32_t, of func() ([]byte, error)) {
	fail := func(code C.uint32_t, what any) {
		message := C.CString(fmt.Sprint(what))
		defer C.free(unsafe.Pointer(message))
		C.xcp_reply_error(reply, code, message, nil)
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			fail(failed, panicked)
		}
	}()
	body, err := of()
	switch {
	case err == nil:
		var first *C.uint8_t
		if len(body) > 0 {
			first = (*C.uint8_t)(unsafe.Pointer(&body[0]))
		}
		C.xcp_reply_body(reply, first, C.size_t(len(body)), nil)
	case errors.Is(err, context.DeadlineExceeded):
		fail(C.XCP_E_TIMEOUT, err)
	case errors.Is(err, context.Canceled):
		fail(C.XCP_E_CANCELLED, err)
	default:
		fail(failed, err)
	}
}
