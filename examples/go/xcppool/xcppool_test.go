package xcppool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var background = context.Background()

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

type world struct {
	simulator  *Simulator
	way        *Transport
	pool, host *Client
}

func story(t *testing.T) world {
	simulator := must(Story(1))(t)
	way := must(simulator.Transport())(t)
	log := func(host string) *Client {
		return must(Connect(background, way, host, "root", "xcp-test", ConnectOptions{}))(t)
	}
	w := world{simulator, way, log("phantom"), log("ignite")}
	t.Cleanup(func() {
		for _, thing := range []interface{ Close() error }{w.host, w.pool, w.way, w.simulator} {
			if err := thing.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

func (w world) plan(t *testing.T) (*Plan, string) {
	pool := must(w.pool.Snapshot(background, "preflight"))(t)
	host := must(w.host.Snapshot(background, "preflight"))(t)
	report := must(NewReport(pool, host, nil))(t)
	if report.Verdict() != Blocked || report.Blocking() == 0 || report.Findings() < report.Blocking() {
		t.Error("the story's Ignite stands in its own way")
	}
	plan := must(report.Plan(nil))(t)
	return plan, must(plan.LossesDigest())(t)
}

func TestPureFunctionsDecodeTheirOutcome(t *testing.T) {
	var outcome struct{ Survivors []string }
	question := map[string]any{"hosts": []string{"a", "b"}, "crash": []string{"b"}}
	if err := Partition(question, &outcome); err != nil || fmt.Sprint(outcome.Survivors) != "[a]" {
		t.Error(outcome, err)
	}
	var report struct{ Verdict string }
	empty := map[string]any{}
	if err := Preflight(empty, empty, nil, &report); err != nil || report.Verdict != "unknown" {
		t.Error(report, err)
	}
	var e *Error
	if err := Failover(map[string]any{"calls": 1}, nil); !errors.As(err, &e) || e.Status != "XCP_E_INVALID_INPUT" {
		t.Error(err)
	}
}

func TestIgniteJoinsThePoolOfPhantom(t *testing.T) {
	w := story(t)
	plan, digest := w.plan(t)
	steps := 0
	joined := must(w.pool.Join(background, w.host, plan, digest, func(at Progress) { steps = at.Of }))(t)
	if len(joined.Missing) != 0 || joined.AlreadyMember || steps == 0 {
		t.Error(joined, steps)
	}
	snapshot := must(w.pool.Snapshot(background, "overview"))(t)
	if srs := must(snapshot.Count("SR"))(t); srs != 9 {
		t.Error(srs)
	}
	led := must(Connect(background, w.way, "ignite", "root", "xcp-test", ConnectOptions{}))(t)
	defer led.Close()
	if at := must(led.Endpoint())(t); at != "https://10.0.0.1" {
		t.Error(at)
	}
}

// lab is a pool of three hosts, of which a is master.
func lab(t *testing.T) (*Simulator, *Transport) {
	var hosts []map[string]string
	for n, name := range []string{"a", "b", "c"} {
		hosts = append(hosts, map[string]string{"name": name, "address": fmt.Sprintf("10.0.0.%d", n+1)})
	}
	world := must(NewSimulator(map[string]any{"pools": []any{map[string]any{"name": "lab", "hosts": hosts}}}))(t)
	way := must(world.Transport())(t)
	t.Cleanup(func() { way.Close(); world.Close() })
	return world, way
}

func TestAHostIsRebootedAnotherBecomesMasterAndOneLeaves(t *testing.T) {
	world, way := lab(t)
	pool := must(Connect(background, way, "a", "root", "xcp-test", ConnectOptions{}))(t)
	defer pool.Close()
	all := must(pool.Snapshot(background, "everything"))(t)
	defer all.Close()
	steps := 0
	if err := pool.Run(background, nil, must(all.PlanMaintenance("b"))(t), "", func(at Progress) { steps = at.Of }); err != nil || steps == 0 {
		t.Fatal(err, steps)
	}
	if err := pool.Run(background, nil, must(pool.PlanHandOver(background, "c"))(t), "", nil); err != nil {
		t.Fatal(err)
	}
	now := must(pool.Snapshot(background, "everything"))(t)
	defer now.Close()
	plan := must(now.PlanEject("b"))(t)
	defer plan.Close()
	var ejected struct{ Host string }
	if err := pool.Run(background, &ejected, plan, "", nil); err == nil {
		t.Error("nobody agreed to the loss")
	}
	if err := pool.Run(background, &ejected, plan, must(plan.LossesDigest())(t), nil); err != nil || ejected.Host == "" {
		t.Error(ejected, err)
	}
	if hosts := must(world.Count("c", "host"))(t); hosts != 2 {
		t.Error(hosts)
	}
}

func TestAPoolWithoutAMasterIsDiagnosedAndNotSplit(t *testing.T) {
	world, way := lab(t)
	pool := must(Connect(background, way, "a", "root", "xcp-test", ConnectOptions{}))(t)
	last := must(pool.Snapshot(background, "everything"))(t)
	defer last.Close()
	pool.Close()
	if err := world.PowerOff("a"); err != nil {
		t.Fatal(err)
	}
	members := &Members{Way: way, Hosts: []string{"10.0.0.2"}, User: "root", Password: "xcp-test", Last: last}
	told := must(members.Diagnose(background))(t)
	if len(told.Hosts) != 3 || told.Text == "" {
		t.Error(told)
	}
	plan := must(last.PlanRecovery(told.Evidence))(t)
	defer plan.Close()
	var e *Error
	if _, err := members.Recover(background, plan, "", nil); !errors.As(err, &e) || e.Status != "XCP_E_STATE" {
		t.Error("nobody said that a is off", err)
	}
}

func TestAFaultHasCodeAndParams(t *testing.T) {
	w := story(t)
	var e *Error
	err := w.pool.Call(background, nil, "host.get_record", "OpaqueRef:no")
	if !errors.As(err, &e) || e.Code != "HANDLE_INVALID" || len(e.Params) != 2 {
		t.Error(err)
	}
}

func TestAJoinThatIsNotDoneHasEvidence(t *testing.T) {
	w := story(t)
	plan, digest := w.plan(t)
	rule := map[string]any{"trouble": "reset", "host": "ignite", "method": "Async.pool.join"}
	if err := w.simulator.Trouble(rule); err != nil {
		t.Fatal(err)
	}
	var e *Error
	_, err := w.pool.Join(background, w.host, plan, digest, nil)
	if !errors.As(err, &e) || e.Status != "XCP_E_NOT_DONE" || len(e.Evidence) == 0 {
		t.Error(err)
	}
}

func TestAContextEndsACallAndNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	asked := make(chan struct{}, 16)
	way := must(Custom(func(ctx context.Context, request Request) ([]byte, error) {
		switch text := string(request.Body); {
		case strings.Contains(text, "session."):
			return []byte(`{"id": 1, "result": "OpaqueRef:s"}`), nil
		case strings.Contains(text, "pool.get_all_records"):
			return []byte(`{"id": 1, "result": {"OpaqueRef:p": {"uuid": "u"}}}`), nil
		case strings.Contains(text, "panics"):
			panic("in the exchange")
		}
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}))(t)
	client := must(Connect(background, way, "10.0.0.1", "root", "x", ConnectOptions{Patience: new(time.Duration)}))(t)
	ctx, cancel := context.WithCancel(background)
	go func() {
		<-asked
		cancel()
	}()
	err := client.Call(ctx, nil, "host.reboot", "OpaqueRef:h")
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := client.Call(ctx, nil, "host.get_all"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := client.Call(background, nil, "host.set_name_label", "panics"); err == nil {
		t.Error("a panic in the exchange is an error")
	}
	client.Close()
	way.Close()
	for wait := 0; runtime.NumGoroutine() > before && wait < 100; wait++ {
		time.Sleep(10 * time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestGoroutinesShareAClient(t *testing.T) {
	w := story(t)
	var group sync.WaitGroup
	for n := 0; n < 8; n++ {
		group.Add(1)
		go func() {
			defer group.Done()
			var hosts []string
			if err := w.pool.Call(background, &hosts, "host.get_all"); err != nil || len(hosts) != 1 {
				t.Error(hosts, err)
			}
		}()
	}
	group.Wait()
}

func TestAWatchTellsChanges(t *testing.T) {
	w := story(t)
	watch := must(w.pool.Watch(background, "overview"))(t)
	defer watch.Close()
	var hosts []string
	if err := w.pool.Call(background, &hosts, "host.get_all"); err != nil {
		t.Fatal(err)
	}
	if err := w.pool.Call(background, nil, "host.set_name_label", hosts[0], "Poltergeist"); err != nil {
		t.Fatal(err)
	}
	change := must(watch.Next(background))(t)
	if change.Class == "" || change.Operation == "" {
		t.Error(change)
	}
}

func TestWhatIsClosedIsAnError(t *testing.T) {
	w := story(t)
	snapshot := must(w.pool.Snapshot(background, "overview"))(t)
	snapshot.Close()
	snapshot.Close()
	var e *Error
	if _, err := snapshot.Count("SR"); !errors.As(err, &e) || e.Status != "XCP_E_NULL" {
		t.Error(err)
	}
}

func TestPinsAreGiven(t *testing.T) {
	pins := must(Pins(strings.Repeat("AB", 32)))(t)
	defer pins.Close()
	way := must(HTTPS(pins, HTTPSOptions{ConnectTimeout: time.Second}))(t)
	defer way.Close()
	var e *Error
	_, err := Connect(background, way, "127.0.0.1:9", "root", "x", ConnectOptions{})
	if !errors.As(err, &e) || e.Status != "XCP_E_TRANSPORT" {
		t.Error(err)
	}
}
