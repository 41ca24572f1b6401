package xcppool

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// joining is a pool of one host, and two hosts that are to join it.
func joining(t *testing.T) (world *Simulator, pool *Client, hosts []*Client, joins *Joins) {
	alone := func(name, address string) any {
		return map[string]any{"hosts": []any{map[string]string{"name": name, "address": address}}}
	}
	world = must(NewSimulator(map[string]any{"pools": []any{
		map[string]any{"name": "lab", "hosts": []any{map[string]string{"name": "a", "address": "10.0.0.1"}}},
		alone("b", "10.0.0.2"), alone("c", "10.0.0.3"),
	}}))(t)
	way := must(world.Transport())(t)
	log := func(host string) *Client {
		client := must(Connect(background, way, host, "root", "xcp-test", ConnectOptions{}))(t)
		t.Cleanup(func() { client.Close() })
		return client
	}
	pool, hosts = log("a"), []*Client{log("b"), log("c")}
	snapshot := must(pool.Snapshot(background, "preflight"))(t)
	var reports []*Report
	for _, host := range hosts {
		reports = append(reports, must(NewReport(snapshot, must(host.Snapshot(background, "preflight"))(t), nil))(t))
	}
	joins = must(PlanJoinMany(reports, nil))(t)
	t.Cleanup(func() { joins.Close(); way.Close(); world.Close() })
	return
}

func TestSeveralHostsJoinOneAfterTheOther(t *testing.T) {
	world, pool, hosts, planned := joining(t)
	joins := must(LoadJoins(must(planned.JSON())(t)))(t)
	defer joins.Close()
	if joins.Len() != 2 || !joins.Complete() || must(joins.Digest())(t) != must(planned.Digest())(t) {
		t.Fatal(must(joins.Text())(t))
	}
	_, digest, err := joins.Losses()
	if err != nil || digest != must(joins.LossesDigest())(t) {
		t.Error(digest, err)
	}
	plan := must(joins.Plan(1))(t)
	defer plan.Close()
	if _, err := joins.Plan(2); err == nil || plan.Steps() == 0 {
		t.Error("there are two plans", err)
	}
	steps := 0
	told, all, err := pool.JoinMany(background, hosts, joins, digest, false, func(at Progress) { steps = at.Of })
	if err != nil || !all || len(told) != 2 || told[1].Outcome != "done" || told[1].Joined.Host != told[1].Host.UUID || steps == 0 {
		t.Error(told, all, err, steps)
	}
	if members := must(world.Count("a", "host"))(t); members != 3 {
		t.Error(members)
	}
}

func TestWhatBecameOfEachHostIsTold(t *testing.T) {
	world, pool, hosts, joins := joining(t)
	digest := must(joins.LossesDigest())(t)
	for _, keepGoing := range []bool{false, true} {
		rule := map[string]any{"trouble": "reset", "host": "b", "method": "Async.pool.join"}
		if err := world.Trouble(rule); err != nil {
			t.Fatal(err)
		}
		told, all, err := pool.JoinMany(background, hosts, joins, digest, keepGoing, nil)
		want := map[bool]string{false: "skipped", true: "done"}[keepGoing]
		if err != nil || all || told[0].Outcome != "not-done" || len(told[0].Evidence) == 0 || told[1].Outcome != want {
			t.Error(told, all, err)
		}
	}
	var e *Error
	if _, _, err := pool.JoinMany(background, nil, joins, digest, false, nil); !errors.As(err, &e) || e.Status != "XCP_E_INVALID_INPUT" {
		t.Error(err)
	}
	if _, err := PlanJoinMany(nil, nil); err == nil {
		t.Error("without reports there is nothing to plan")
	}
}

func TestOneHostIsAskedAlone(t *testing.T) {
	world, way := lab(t)
	role := must(Probe(background, way, "10.0.0.2", "root", "xcp-test", Limits{Timeout: 5 * time.Second, MaxReply: 1 << 20}))(t)
	if role.Role != "member" || role.Master != "10.0.0.1" {
		t.Error(role)
	}
	pool := must(Connect(background, way, "a", "root", "xcp-test", ConnectOptions{}))(t)
	defer pool.Close()
	if role := must(pool.RoleOf(background, "10.0.0.1"))(t); role.Role != "master" || role.Pool == "" {
		t.Error(role)
	}
	if url := must(pool.Locate("10.0.0.3"))(t); url != "https://10.0.0.3" {
		t.Error(url)
	}
	beside := must(pool.Beside(background, "10.0.0.2"))(t)
	defer beside.Close()
	session := must(OpenLocal(background, way, "10.0.0.2", "root", "xcp-test", Limits{}))(t)
	defer session.Close()
	other := must(pool.Local(background, "10.0.0.3"))(t)
	defer other.Close()
	var emergency bool
	if err := other.Call(background, &emergency, "host.is_in_emergency_mode"); err != nil || emergency {
		t.Error(emergency, err)
	}
	if lost, err := session.IsInEmergencyMode(background); lost || err != nil || must(session.Endpoint())(t) != "https://10.0.0.2" {
		t.Error(lost, err)
	}
	ended, end := context.WithCancel(background)
	end()
	if err := other.Call(ended, nil, "host.is_in_emergency_mode"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var e *Error
	if _, err := Connect(background, way, "a", "root", "no", ConnectOptions{}); !errors.As(err, &e) || e.LoginFailure != "bad-password" {
		t.Error(err)
	}
	if state := must(world.State())(t); len(state.Sessions) == 0 || len(state.Masters) != 1 || state.Requests["session.login_with_password"] == 0 {
		t.Error(state)
	}
}

func TestAMasterIsChosenOnEvidence(t *testing.T) {
	_, way := lab(t)
	pool := must(Connect(background, way, "a", "root", "xcp-test", ConnectOptions{}))(t)
	defer pool.Close()
	snapshot := must(pool.Snapshot(background, `["pool", "host", "host_metrics", "SR", "PBD", "PIF", "VM", "network"]`))(t)
	defer snapshot.Close()
	evidence := must(pool.Evidence(background, snapshot))(t)
	var decision struct{ Verdict string }
	if err := snapshot.Election("planned", evidence, &decision); err != nil || decision.Verdict != "safe" {
		t.Error(decision, err)
	}
	plan := must(snapshot.PlanHandOver("b", evidence))(t)
	defer plan.Close()
	if steps := must(plan.StepsNow(snapshot, nil))(t); len(steps) != plan.Steps() || steps[0].Summary == "" {
		t.Error(steps)
	}
	if overview := must(snapshot.Overview())(t); !plan.Complete() || overview.Master != "a" || len(overview.Hosts) != 3 {
		t.Error(overview)
	}
	var outcome struct {
		Refusal json.RawMessage
		After   struct{ Hosts []json.RawMessage }
	}
	err := snapshot.Ask(map[string]any{"ask": "if-host-leaves", "host": "b"}, &outcome)
	if err != nil || string(outcome.Refusal) != "null" || len(outcome.After.Hosts) != 2 {
		t.Error(outcome, err)
	}
	var e *Error
	wrong := map[string]any{"ask": "maximum", "priorities": map[string]string{}}
	if err := snapshot.Ask(wrong, nil); err != nil {
		t.Error(err)
	}
	if err := snapshot.Ask(map[string]any{"ask": "agile", "vm": "nothing"}, nil); !errors.As(err, &e) || e.Status != "XCP_E_INVALID_INPUT" {
		t.Error(err)
	}
	members := &Members{Way: way, Hosts: []string{"10.0.0.2"}, User: "root", Password: "xcp-test", Last: snapshot,
		LastAge: time.Minute, Patience: 3 * time.Second, Addresses: map[string]string{"nat": "10.0.0.2"}, AskWhetherHAIsArmed: true}
	if told := must(members.Diagnose(background))(t); len(told.Hosts) != 3 {
		t.Error(told)
	}
}

func TestATaskIsStartedAndAwaited(t *testing.T) {
	_, way := lab(t)
	pool := must(Connect(background, way, "a", "root", "xcp-test", ConnectOptions{}))(t)
	defer pool.Close()
	var hosts []string
	patient := must(pool.Within(Limits{Timeout: time.Minute}))(t)
	defer patient.Close()
	if err := patient.Call(background, &hosts, "host.get_by_name_label", "b"); err != nil || len(hosts) != 1 {
		t.Fatal(hosts, err)
	}
	task := must(pool.Start(background, "host.disable", hosts[0]))(t)
	defer task.Close()
	var record struct{ Status string }
	if err := task.Decode(background, &record); err != nil || record.Status == "" || len(task.Ref()) < 10 {
		t.Error(record, err)
	}
	last := -1.0
	if err := task.Wait(background, nil, func(done float64) { last = done }); err != nil || last != 1 {
		t.Error(last, err)
	}
	var e *Error
	if err := task.Wait(background, nil, nil); !errors.As(err, &e) || e.Status != "XCP_E_OUTCOME_UNKNOWN" {
		t.Error(err)
	}
	if err := task.Cancel(background); err == nil {
		t.Error("the task is gone")
	}
}

func TestAWatchIsPolled(t *testing.T) {
	w := story(t)
	watch := must(w.pool.WatchHolding(background, `["host"]`, time.Second))(t)
	defer watch.Close()
	if changes := must(watch.Poll(background))(t); changes != 0 {
		t.Error(changes)
	}
}

func TestAWorldIsActedOnAndServed(t *testing.T) {
	world, _ := lab(t)
	act := func(name string) map[string]any { return map[string]any{"act": name, "host": "b"} }
	later := act("power-on")
	later["after"] = 5
	if err := world.Act(act("power-off"), later, act("cut-state-file")); err != nil {
		t.Fatal(err)
	}
	if b := must(world.Host("b"))(t); b.Power || b.Running || b.HA != nil {
		t.Error(b)
	}
	for more := true; more; {
		more = must(world.Step(5 * time.Minute))(t)
	}
	if b := must(world.Host("b"))(t); !b.Running || b.PoolUUID == nil || b.Address != "10.0.0.2" {
		t.Error(b)
	}
	front := must(world.Serve(map[string]any{"https": 0}))(t)
	hosts, addresses, err := front.Hosts()
	if err != nil || len(hosts) != 3 || hosts[0].HTTP != "" || addresses["10.0.0.1"] != hosts[0].URL {
		t.Fatal(hosts, addresses, err)
	}
	status := func(pin string) *Error {
		trust := must(Pins(pin))(t)
		defer trust.Close()
		way := must(HTTPS(trust, HTTPSOptions{}))(t)
		defer way.Close()
		pool, err := Connect(background, way, hosts[0].URL, "root", "xcp-test", ConnectOptions{Addresses: addresses})
		if err == nil {
			if front.Connections() == 0 {
				t.Error("a client is connected")
			}
			pool.Close()
			return &Error{}
		}
		var e *Error
		errors.As(err, &e)
		return e
	}
	if e := status(hosts[0].Fingerprint); e.Status != "" {
		t.Error(e)
	}
	other := must(Fingerprint([]byte("abc")))(t)
	if e := status(other); e.LoginFailure != "certificate" || e.Mismatch == nil || e.Mismatch.Actual != hosts[0].Fingerprint {
		t.Error(e, e.Mismatch)
	}
	if front.Served() == 0 {
		t.Error("nothing was served")
	}
	front.Close()
	if e := status(hosts[0].Fingerprint); e.Status != "XCP_E_TRANSPORT" {
		t.Error(e)
	}
}

func TestAReportLeadsToThePoolAsItWillBe(t *testing.T) {
	w := story(t)
	pool := must(w.pool.Snapshot(background, "preflight"))(t)
	report := must(NewReport(pool, must(w.host.Snapshot(background, "preflight"))(t), nil))(t)
	defer report.Close()
	after := must(report.PoolAfter())(t)
	defer after.Close()
	if hosts := must(after.Count("host"))(t); hosts != 2 || must(report.ConsequencesMarkdown())(t) == "" {
		t.Error(hosts)
	}
	trust := must(FirstUseInMemory())(t)
	defer trust.Close()
	way := must(HTTPS(trust, HTTPSOptions{}))(t)
	defer way.Close()
	if count := must(way.RememberMembers(pool, 443))(t); count != 1 {
		t.Error(count)
	}
}

func TestWhatNeedsNoWorldIsTold(t *testing.T) {
	if rules := must(Rules())(t); len(rules) < 80 || rules[0].XapiCheck == nil || rules[0].Compares == "" {
		t.Error(rules)
	}
	var packed struct{ VMs []int }
	sizes := map[string]any{"free": []int{3, 0}, "size": []int{4}, "placement": [][2]int{{0, 1}}, "failures": 1}
	if err := Packing(sizes, &packed); err != nil || len(packed.VMs) != 1 {
		t.Error(packed, err)
	}
	var state struct{ Holder *int }
	game := map[string]any{"me": 0, "n": 1, "online": 1, "events": []string{"propose", "update", "update"}}
	if err := MasterLock(game, &state); err != nil || state.Holder == nil || *state.Holder != 0 {
		t.Error(state, err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := AuthoritiesFile(path); err == nil {
		t.Error("what is no certificate has no authority")
	}
}
