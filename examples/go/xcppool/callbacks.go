package xcppool

/*
#include <stdlib.h>
#include "xcp_pool.h"
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime/cgo"
	"unsafe"
)

//export xcpGoProgress
func xcpGoProgress(ctx unsafe.Pointer, text *C.char) {
	var progress Progress
	if json.Unmarshal([]byte(C.GoString(text)), &progress) == nil {
		cgo.Handle(uintptr(ctx)).Value().(func(Progress))(progress)
	}
}

//export xcpGoExchange
func xcpGoExchange(ctx unsafe.Pointer, request *C.xcp_request, reply *C.xcp_reply) {
	fail := func(what any) {
		message := C.CString(fmt.Sprint(what))
		defer C.free(unsafe.Pointer(message))
		C.xcp_reply_error(reply, C.XCP_E_TRANSPORT, message, nil)
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			fail(panicked)
		}
	}()
	var length C.size_t
	body := C.GoBytes(unsafe.Pointer(C.xcp_request_body(request, &length)), C.int(length))
	url := C.GoString(C.xcp_request_url(request))
	answer, err := cgo.Handle(uintptr(ctx)).Value().(Exchange)(url, body)
	if err != nil {
		fail(err)
		return
	}
	var first *C.uint8_t
	if len(answer) > 0 {
		first = (*C.uint8_t)(unsafe.Pointer(&answer[0]))
	}
	C.xcp_reply_body(reply, first, C.size_t(len(answer)), nil)
}

//export xcpGoRelease
func xcpGoRelease(ctx unsafe.Pointer) {
	cgo.Handle(uintptr(ctx)).Delete()
}
