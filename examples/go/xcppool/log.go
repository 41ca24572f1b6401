package xcppool

// #include "glue.h"
import "C"

import "runtime/cgo"

// Level says how much a log is told, and how much a line matters.
type Level uint32

// The levels, each with all before it.
const (
	LevelOff   Level = C.XCP_LOG_OFF
	LevelError Level = C.XCP_LOG_ERROR
	LevelWarn  Level = C.XCP_LOG_WARN
	LevelInfo  Level = C.XCP_LOG_INFO
	LevelDebug Level = C.XCP_LOG_DEBUG
	LevelTrace Level = C.XCP_LOG_TRACE
)

var levelNames = [...]string{"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"}

func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "unknown"
}

// LogTo has a function hear what the library does, up to a level, for the whole process; nil or LevelOff
// ends it. The target is the part of the library that speaks, such as "xcp_pool::client". Lines never hold
// passwords, sessions or parameters. The function is called by many goroutines at once; what the library
// does when it is called from inside of it is not told, and LogTo and clients that are in a call fail there.
func LogTo(level Level, tell func(level Level, target, message string)) error {
	var ctx cgo.Handle
	if tell != nil && level != LevelOff {
		ctx = cgo.NewHandle(tell)
	}
	var err *C.xcp_error
	status := C.glue_log_set(C.uint32_t(level), C.uintptr_t(ctx), &err)
	if status != C.XCP_OK && ctx != 0 {
		ctx.Delete()
	}
	return failure(status, err)
}

//export xcpGoLog
func xcpGoLog(handle C.uintptr_t, level C.uint32_t, target, message *C.char) {
	// A panic must not pass into C, and there is nobody to tell.
	defer func() { _ = recover() }()
	tell := cgo.Handle(handle).Value().(func(Level, string, string))
	tell(Level(level), C.GoString(target), C.GoString(message))
}
