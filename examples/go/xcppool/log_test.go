package xcppool

import (
	"errors"
	"strings"
	"sync"
	"testing"
)

func logIn(t *testing.T) {
	t.Helper()
	simulator := must(Story(1))(t)
	defer simulator.Close()
	way := must(simulator.Transport())(t)
	defer way.Close()
	must(Connect(background, way, "phantom", "root", "xcp-test", ConnectOptions{}))(t).Close()
}

func TestTheLogTellsWhatTheLibraryDoesAndNoSecret(t *testing.T) {
	var lock sync.Mutex
	var heard []string
	tell := func(level Level, target, message string) {
		lock.Lock()
		defer lock.Unlock()
		heard = append(heard, level.String()+" "+target+" "+message)
	}
	defer LogTo(LevelOff, nil)
	if err := LogTo(LevelDebug, tell); err != nil {
		t.Fatal(err)
	}
	logIn(t)
	told := strings.Join(heard, "\n")
	for _, words := range []string{
		"INFO xcp_pool::client logged in at https://phantom",
		"DEBUG xcp_pool::client session.login_with_password at https://phantom: ",
	} {
		if !strings.Contains(told, words) {
			t.Errorf("%q is not among\n%s", words, told)
		}
	}
	if strings.Contains(told, "xcp-test") {
		t.Errorf("the password is told:\n%s", told)
	}
	before := len(heard)
	if err := LogTo(LevelOff, tell); err != nil {
		t.Fatal(err)
	}
	logIn(t)
	if len(heard) != before {
		t.Error("what was ended still hears")
	}
}

func TestAListenerMayPanicAndMayCallTheLibrary(t *testing.T) {
	calls := 0
	var inside error
	defer LogTo(LevelOff, nil)
	err := LogTo(LevelInfo, func(Level, string, string) {
		calls++
		inside = LogTo(LevelOff, nil)
		logIn(t)
		panic("on purpose")
	})
	if err != nil {
		t.Fatal(err)
	}
	logIn(t)
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
	var misuse *Error
	if !errors.As(inside, &misuse) || misuse.Status != "XCP_E_MISUSE" {
		t.Errorf("%v", inside)
	}
	if err := LogTo(9, func(Level, string, string) {}); !errors.As(err, &misuse) {
		t.Errorf("%v", err)
	}
}
