package xcppool

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestASnapshotIsLoadedAndSaved(t *testing.T) {
	source := map[string]any{"SR": map[string]any{"OpaqueRef:1": map[string]any{"name_label": "disks"}, "OpaqueRef:2": 7}}
	snapshot := must(LoadSnapshot(source, true))(t)
	defer snapshot.Close()
	problems := must(snapshot.Problems())(t)
	if len(problems) != 1 || problems[0].Ref != "OpaqueRef:2" || problems[0].Message == "" {
		t.Error(problems)
	}
	again := must(LoadSnapshot(must(snapshot.JSON())(t), false))(t)
	defer again.Close()
	if srs := must(again.Count("SR"))(t); srs != 1 {
		t.Error(srs)
	}
}

func TestAReportIsToldInEveryForm(t *testing.T) {
	w := story(t)
	pool := must(w.pool.SettledSnapshot(background, "preflight"))(t)
	host := must(w.host.Snapshot(background, "preflight"))(t)
	report := must(NewReport(pool, host, nil))(t)
	defer report.Close()
	var told, again struct {
		Findings []struct{ Rule string }
	}
	if err := report.Decode(&told); err != nil || len(told.Findings) != report.Findings() {
		t.Error(told, err)
	}
	if err := Preflight(must(pool.JSON())(t), must(host.JSON())(t), nil, &again); err != nil || len(again.Findings) != report.Findings() {
		t.Error(again, err)
	}
	if text := must(report.Markdown())(t); !strings.HasPrefix(text, "#") && !strings.Contains(text, "|") {
		t.Error(text)
	}
	var change, foretold struct{ Refusal struct{ Code string } }
	if err := report.Consequences(&change); err != nil || change.Refusal.Code == "" {
		t.Error(change, err)
	}
	if err := Consequences(must(pool.JSON())(t), must(host.JSON())(t), nil, &foretold); err != nil || foretold != change {
		t.Error(foretold, err)
	}
	report.Close()
	if report.Verdict() != "" || report.Findings() != 0 {
		t.Error("a closed report has no verdict")
	}
}

func TestAPlanIsSavedAndTellsWhatItDestroys(t *testing.T) {
	world, _ := lab(t)
	pool := must(LoadSnapshot(must(world.Database("a"))(t), false))(t)
	defer pool.Close()
	plan := must(pool.PlanEject("b"))(t)
	defer plan.Close()
	losses, digest, err := plan.Losses()
	if err != nil || digest != must(plan.LossesDigest())(t) || len(losses) == 0 {
		t.Fatal(losses, digest, err)
	}
	if losses[0].Kind != "sr-content" || losses[0].Object.Ref == "" {
		t.Error(losses[0])
	}
	loaded := must(LoadPlan(must(plan.JSON())(t)))(t)
	defer loaded.Close()
	if must(loaded.Digest())(t) != must(plan.Digest())(t) || loaded.Steps() != plan.Steps() || !loaded.Complete() {
		t.Error("another plan was loaded")
	}
}

func TestAMasterIsChosen(t *testing.T) {
	world, _ := lab(t)
	var decision struct {
		Verdict string
		Ranked  []struct{ Host string }
	}
	question := map[string]any{"mode": "planned", "snapshot": must(world.Database("a"))(t), "evidence": map[string]any{}}
	if err := Election(question, &decision); err != nil || decision.Verdict == "" || len(decision.Ranked) != 3 {
		t.Error(decision, err)
	}
}

func TestAWorldIsCutAndMended(t *testing.T) {
	world, way := lab(t)
	refused := func() error {
		client, err := Connect(background, way, "a", "root", "xcp-test", ConnectOptions{Patience: new(time.Duration), Timeout: time.Second})
		if err == nil {
			client.Close()
		}
		return err
	}
	for _, step := range []struct {
		do    func() error
		fails bool
	}{
		{func() error { return world.Cut("", "a") }, true},
		{func() error { return world.Heal("", "a") }, false},
		{func() error { return world.RestartToolstack("a") }, true},
		{func() error { return world.Advance(5 * time.Minute) }, false},
	} {
		err := step.do()
		if failed := refused(); err != nil || (failed != nil) != step.fails {
			t.Error(err, failed)
		}
	}
	before := world.Now()
	if err := world.Advance(90 * time.Second); err != nil || world.Now()-before < 90*time.Second {
		t.Error(world.Now()-before, err)
	}
	b := must(world.Host("b"))(t)
	if b.Role != "slave" || b.Master == nil || *b.Master != "10.0.0.1" || b.NetworkBackend == "" {
		t.Error(b)
	}
}

func TestATaskTellsItsProgressAndAPanicGoesOnAfterIt(t *testing.T) {
	w := story(t)
	var hosts []string
	if err := w.pool.Call(background, &hosts, "host.get_all"); err != nil {
		t.Fatal(err)
	}
	last := -1.0
	if err := w.pool.Task(background, nil, func(done float64) { last = done }, "host.disable", hosts[0]); err != nil || last < 0 {
		t.Error(last, err)
	}
	if uuid := must(w.pool.PoolUUID(background))(t); len(uuid) != 36 {
		t.Error(uuid)
	}
	plan, digest := w.plan(t)
	defer func() {
		if said := recover(); said != "in the observer" {
			t.Error(said)
		}
		var again []string
		if err := w.pool.Call(background, &again, "host.get_all"); err != nil {
			t.Error("the client is of use afterwards", err)
		}
	}()
	_, err := w.pool.Join(background, w.host, plan, digest, func(Progress) { panic("in the observer") })
	t.Error("not reached", err)
}

func TestADeadlineEndsAnOperation(t *testing.T) {
	w := story(t)
	plan, digest := w.plan(t)
	ctx, end := context.WithTimeout(background, time.Nanosecond)
	defer end()
	if _, err := w.pool.Join(ctx, w.host, plan, digest, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestAWatchEndsForWhoWaits(t *testing.T) {
	w := story(t)
	watch := must(w.pool.Watch(background, "overview"))(t)
	defer watch.Close()
	snapshot := must(watch.Snapshot())(t)
	defer snapshot.Close()
	if srs := must(snapshot.Count("SR"))(t); srs != 6 {
		t.Error(srs)
	}
	watch.Cancel()
	var e *Error
	if _, err := watch.Next(background); !errors.As(err, &e) || e.Status != "XCP_E_CANCELLED" || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// pins is a PinStore that forgets with the program.
type pins struct {
	mutex sync.Mutex
	known map[string]string
	fails error
}

func (p *pins) Pin(host string) (string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.known[host], p.fails
}

func (p *pins) Remember(host, fingerprint string) (string, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.known[host] == "" {
		p.known[host] = fingerprint
	}
	return p.known[host], nil
}

func TestCertificatesAreRememberedWhereverOneLikes(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	status := func(store *TrustStore, err error) string {
		defer must(store, err)(t).Close()
		way := must(HTTPS(store, HTTPSOptions{ConnectTimeout: 5 * time.Second}))(t)
		defer way.Close()
		var e *Error
		client, err := Connect(background, way, server.URL, "root", "x", ConnectOptions{Patience: new(time.Duration)})
		if err == nil {
			client.Close()
			return "connected"
		} else if !errors.As(err, &e) {
			t.Error(err)
			return ""
		}
		return e.Status
	}
	const trusted, refused = "XCP_E_TRANSPORT", "XCP_E_TRUST" // what answers says 404
	own := &pins{known: map[string]string{}}
	path := filepath.Join(t.TempDir(), "pins")
	file := must(FirstUse(path))(t)
	for _, c := range []struct{ got, want string }{
		{status(FirstUseIn(own)), trusted},
		{status(FirstUseIn(own)), trusted},
		{status(FirstUseIn(&pins{fails: os.ErrPermission})), refused},
		{status(FirstUseInMemory()), trusted},
		{status(DangerAcceptAny()), trusted},
		{status(Pins(strings.Repeat("AB", 32))), refused},
		{status(FirstUse(path)), trusted},
	} {
		if c.got != c.want {
			t.Errorf("%s, not %s", c.got, c.want)
		}
	}
	if kept := must(file.Pins())(t); len(own.known) != 1 || len(kept) != 1 {
		t.Error(own.known, kept)
	}
	for host, pin := range own.known {
		if status(Pins(pin)) != trusted {
			t.Error("a pin that was remembered can be given", pin)
		}
		if err := file.Forget(host); err != nil || len(must(file.Pins())(t)) != 0 {
			t.Error(err)
		}
	}
	if _, err := Authorities("no certificate"); err == nil {
		t.Error("what is no certificate has no authority")
	}
}

func TestATextWithNULIsRefused(t *testing.T) {
	var e *Error
	if _, err := must(Story(1))(t).Count("phantom", "S\x00R"); !errors.As(err, &e) || e.Status != "XCP_E_INVALID_INPUT" {
		t.Error(err)
	}
	if err := Partition(json.RawMessage("{}\x00"), nil); err == nil {
		t.Error("JSON holds no NUL")
	}
}
