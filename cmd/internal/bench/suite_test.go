package bench

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

// inThisBinary runs the parts of a bench in this test's own binary, which
// TestChild then plays.
func inThisBinary(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, "-test.run=^TestChild$")
	c.Env = append(os.Environ(), childVariable+"="+strings.Join(args, "\n"))
	return c, nil
}

// TestChild is a part of a bench when it is started as one, and nothing otherwise.
func TestChild(t *testing.T) {
	given := os.Getenv(childVariable)
	if given == "" {
		return
	}
	args := strings.Split(given, "\n")
	value := func(name string) string { return args[slices.Index(args, name)+1] }
	var folded Folded
	var err error
	switch args[0] {
	case "rebuild":
		folded, err = Rebuild(t.Context(), value("--log"), value("--models"))
	case "read":
		var cell time.Duration
		if cell, err = time.ParseDuration(value("--cell")); err == nil {
			folded, err = Read(t.Context(), value("--how"), value("--log"), cell)
		}
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(folded)
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// A whole run over a small log: every row is measured, judged, and named as the
// figure it belongs to; nothing stays behind.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	profiles := filepath.Join(t.TempDir(), "profiles")
	report, err := Run(t.Context(), Options{
		Rounds: 1, Events: 3000, Quick: true, Dir: dir, Profile: profiles, Child: inThisBinary, Say: t.Logf,
		Only: []string{"append.64", "read", "replay", "rebuild", "memory", "asof"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, r := range report.Rows {
		if i > 0 && r.missing() > report.Rows[i-1].missing() {
			t.Errorf("want the worst row first, found %s after %s", r.Name, report.Rows[i-1].Name)
		}
		names = append(names, r.Name)
		if r.Value.Median < 0 || r.Value.Max == 0 && r.Unit != "µs" || r.Unit == "" || r.About == "" {
			t.Errorf("found %+v", r)
		}
		if r.Bound != "" && r.Limit.Median <= 0 {
			t.Errorf("%s: want its bound measured, found %+v", r.Name, r.Limit)
		}
	}
	slices.Sort(names)
	if want := []string{"append.64", "asof.median", "asof.p99", "memory", "read", "rebuild.peak", "rebuild.replay", "replay.typed"}; !slices.Equal(names, want) {
		t.Errorf("want %v, found %v", want, names)
	}
	if report.Machine.Cores < 1 || report.Machine.Go == "" || report.Rounds != 1 || report.Events != 3000 || report.Seconds <= 0 {
		t.Errorf("found %+v", report)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("want nothing left behind, found %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(profiles, "append.64.log.1.cpu.pprof")); err != nil {
		t.Errorf("want a profile of each cell, found %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, options := range []Options{{Only: []string{"apend"}}, {Rounds: -1}, {Events: -1}, {Dir: filepath.Join(t.TempDir(), "gone")}} {
		if options.Dir == "" {
			options.Dir = t.TempDir()
		}
		if _, err := Run(t.Context(), options); err == nil {
			t.Errorf("%+v: want it refused", options)
		}
	}
}

func TestNoop(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Noop(ctx, listener, slog.New(slog.DiscardHandler)) }()
	c := server{address: listener.Addr().String()}
	for _, one := range []struct {
		method, path, body, answer string
		status                     int
	}{
		{"POST", "/work/add", `{"task_type":"selfplay"}`, `{"position":1,"events":[]}`, 200},
		{"POST", "/work/add", `{"unknown":1}`, "", 400},
		{"GET", "/noop", "", `{"position":1}`, 200},
		{"POST", barePath, `{"anything":1}`, "{}", 200},
	} {
		status, answer, err := c.call(t.Context(), one.method, one.path, one.body)
		if err != nil || status != one.status || one.answer != "" && strings.TrimSpace(string(answer)) != one.answer {
			t.Errorf("%s %s: want %d %s, found %d %q, %v", one.method, one.path, one.status, one.answer, status, answer, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A node of a cell starts with its queue, keeps it as long as it is while items
// are claimed, and ends when asked.
func TestClaimsKeepTheQueueAsLongAsItIs(t *testing.T) {
	s, err := newSuite(Options{Quick: true, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.liveNode(t.Context(), 30)
	if err != nil {
		t.Fatal(err)
	}
	micros, err := n.claims(time.Millisecond)
	if err != nil || micros <= 0 {
		t.Errorf("found %v µs, %v", micros, err)
	}
	if queued := queuedItems(t, n); queued != 30 {
		t.Errorf("want 30 items queued, found %d", queued)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
}

// queuedItems counts the items that wait in the queue of a node.
func queuedItems(t *testing.T, n *liveNode) (queued int) {
	t.Helper()
	err := n.node.Store().View(func(v projections.View) error {
		for entry, err := range workview.ItemsTable.Scan(v, projections.Span{}) {
			if err != nil {
				return err
			}
			if entry.Row.State == work.StateQueued {
				queued++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return queued
}

// What callers send is what the endpoints of a node take.
func TestJobsOfANode(t *testing.T) {
	s, err := newSuite(Options{Quick: true, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.liveNode(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := transport.NewHandler(n.node.Backend(), transport.Config{Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}, wiring.Areas()...)
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(handler)
	node := &server{address: strings.TrimPrefix(served.URL, "http://")}
	if err := node.register(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int{1, 5} {
		did, err := s.calls(t.Context(), node.address, 2, func(c *caller) error { return c.job(batch) })
		if err != nil || did.jobs == 0 || did.jobs%batch != 0 {
			t.Errorf("batches of %d: found %d jobs, %v", batch, did.jobs, err)
		}
		if err := node.caughtUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if queued := queuedItems(t, n); queued != 100 {
			t.Errorf("batches of %d: want 100 items queued, found %d", batch, queued)
		}
	}
	served.Close()
	if err := n.close(); err != nil {
		t.Error(err)
	}
}
