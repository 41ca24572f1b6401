package xcppool

// #include "glue.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// ask is one call of the library: it keeps the arguments alive, and turns the answer into Go's.
//
// Arguments are made first, then one of run, within and their kin is called, once.
type ask struct {
	texts []*C.char
	wrong error // what keeps the library from being asked at all
	about []*handle
}

// on starts a call that is about these objects.
func on(about ...*handle) *ask { return &ask{about: about} }

// text is a text as C has it.
func (a *ask) text(text string) *C.char {
	if strings.IndexByte(text, 0) >= 0 {
		a.wrong = errors.New("a text for the library cannot hold NUL")
		return nil
	}
	c := C.CString(text)
	a.texts = append(a.texts, c)
	return c
}

// optional is NULL for "".
func (a *ask) optional(text string) *C.char {
	if text == "" {
		return nil
	}
	return a.text(text)
}

// json is a value as JSON; nil is NULL, and bytes are JSON already.
func (a *ask) json(value any) *C.char {
	switch value := value.(type) {
	case nil:
		return nil
	case json.RawMessage:
		return a.text(string(value))
	case []byte:
		return a.text(string(value))
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		a.wrong = err
		return nil
	}
	return a.text(string(encoded))
}

// run calls the library.
func (a *ask) run(call func(err **C.xcp_error) C.xcp_status) error {
	defer func() {
		for _, text := range a.texts {
			C.free(unsafe.Pointer(text))
		}
	}()
	if a.wrong != nil {
		return &Error{Status: "XCP_E_INVALID_INPUT", Message: a.wrong.Error(), cause: a.wrong}
	}
	var err *C.xcp_error
	status := call(&err)
	runtime.KeepAlive(a.about)
	return failure(status, err)
}

// within calls the library; the context ends the call, and is then the cause of its error.
func (a *ask) within(ctx context.Context, call func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status) error {
	var cancel *C.xcp_cancel
	if ctx.Done() != nil {
		made := func(err **C.xcp_error) C.xcp_status { return C.xcp_cancel_new(&cancel, err) }
		if a.wrong == nil {
			a.wrong = on().run(made)
		}
		ended, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-ctx.Done():
				C.xcp_cancel_cancel(cancel)
			case <-ended:
			}
		}()
		defer func() {
			close(ended)
			<-watched
			C.xcp_cancel_free(cancel)
		}()
	}
	err := a.run(func(err **C.xcp_error) C.xcp_status {
		if ctx.Err() != nil {
			C.xcp_cancel_cancel(cancel)
		}
		return call(cancel, err)
	})
	if e, ok := err.(*Error); ok && e.cause == nil {
		e.cause = ctx.Err()
	}
	return err
}

// said is what a call writes as text.
func (a *ask) said(call func(out **C.char, err **C.xcp_error) C.xcp_status) (string, error) {
	var out *C.char
	if err := a.run(func(err **C.xcp_error) C.xcp_status { return call(&out, err) }); err != nil {
		return "", err
	}
	return taken(out), nil
}

// decoded puts what a call writes as JSON into a value, unless that is nil.
func (a *ask) decoded(into any, call func(out **C.char, err **C.xcp_error) C.xcp_status) error {
	text, err := a.said(call)
	if err != nil {
		return err
	}
	return decode(text, into)
}

// decodedWithin does so for calls that a context ends.
func (a *ask) decodedWithin(ctx context.Context, into any,
	call func(cancel *C.xcp_cancel, out **C.char, err **C.xcp_error) C.xcp_status) error {
	var out *C.char
	err := a.within(ctx, func(cancel *C.xcp_cancel, err **C.xcp_error) C.xcp_status { return call(cancel, &out, err) })
	if err != nil {
		return err
	}
	return decode(taken(out), into)
}

func taken(text *C.char) string {
	defer C.xcp_string_free(text)
	return C.GoString(text)
}

func decode(text string, into any) error {
	if into == nil || text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("the library's answer does not fit: %w", err)
	}
	return nil
}
