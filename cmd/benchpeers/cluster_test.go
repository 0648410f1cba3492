package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseCluster(t *testing.T) {
	for _, args := range [][]string{{"-o", "yaml"}, {"-kills", "0"}, {"-stops", "0"}, {"-idle", "0s"}, {"-only", "appends"}, {"more"}} {
		if _, err := parseCluster(args, io.Discard); err == nil {
			t.Errorf("want %q refused", args)
		}
	}
	s, err := parseCluster([]string{"-rift", "/bin/sh", "-only", "append,idle"}, io.Discard)
	if err != nil || s.rounds != 3 || s.kills != 10 || !s.wants("idle") || s.wants("queue") {
		t.Errorf("found %+v, %v", s, err)
	}
	if err := run(t.Context(), []string{"fly"}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "want queue or cluster") {
		t.Errorf("found %v", err)
	}
}

// The rows that are furthest from what is wanted come first, those without a wanted value
// last.
func TestWorstFirst(t *testing.T) {
	b := &clusterBench{report: &clusterReport{}}
	b.line("free", "", []float64{1}, nil, want{})
	b.line("nothing lost", "", []float64{0}, nil, want{"<=", 0})
	b.line("half", "", []float64{1}, []float64{2}, want{">=", 1})
	b.line("late", "s", []float64{1, 6, 9}, nil, want{"<=", 2})
	b.line("some lost", "", []float64{1}, nil, want{"<=", 0})
	b.line("fast", "", []float64{3}, []float64{1}, want{">=", 1.5})
	b.line("no peer", "", []float64{3}, []float64{0}, want{">=", 1.5})
	worstFirst(b.report.Lines)
	var order []string
	for _, l := range b.report.Lines {
		order = append(order, l.Figure)
	}
	if want := []string{"some lost", "no peer", "late", "half", "fast", "nothing lost", "free"}; !slices.Equal(order, want) {
		t.Errorf("want %q, found %q", want, order)
	}
	for i, met := range []bool{false, false, false, false, true, true} {
		if l := b.report.Lines[i]; *l.Met != met {
			t.Errorf("%s: want met %v", l.Figure, met)
		}
	}
}

func TestClusterReport(t *testing.T) {
	r := &clusterReport{
		Rift: "v1.2.3 0123456789ab", Peers: []string{"etcd 3.7.3", "NATS JetStream v2.15.2"}, Rounds: 3, Cell: 2, Seconds: 200, Cores: 2, Load: [2]string{"0.10", "3.20"},
		Appends: map[string][][]appendCell{}, Queue: map[string][]cell{}, Kills: make([]lostLeader, 10), Skipped: []string{strings.Repeat("words ", 40)},
	}
	b := &clusterBench{report: r}
	b.line("appends/s, 64 clients, JetStream", "appends/s", []float64{123456}, []float64{246912}, want{">=", 1.3})
	b.line("s to an answer, 10 kills", "s", []float64{1, 1.5, 12.5}, nil, want{"<=", 2})
	var table, doc bytes.Buffer
	if err := r.table(&table); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
			t.Errorf("want at most %d columns, found %d: %s", columns, n, line)
		}
	}
	for _, row := range []string{
		"appends/s, 64 clients, JetStream   123456   246912  0.50 [0.50..0.50]  ≥ 1.3 no\n",
		"s to an answer, 10 kills             1.50           [1.00..12.5]       ≤ 2   ok\n",
		"etcd 3.7.3 and NATS JetStream",
	} {
		if !strings.Contains(table.String(), row) {
			t.Errorf("want %q in\n%s", row, table.String())
		}
	}
	if err := printJSON(&doc, r); err != nil {
		t.Fatal(err)
	}
	var read clusterReport
	if err := json.Unmarshal(doc.Bytes(), &read); err != nil || len(read.Lines) != 2 || read.Lines[1].Peer != nil || len(read.Kills) != 10 {
		t.Errorf("found %+v, %v", read, err)
	}
}

// counting is a cluster whose writers count their appends.
type counting struct{ appended, closed atomic.Int64 }

func (c *counting) writer(context.Context) (writer, error) { return countingWriter{c}, nil }
func (c *counting) cpu() (time.Duration, error) {
	return time.Duration(c.appended.Load()) * time.Millisecond, nil
}
func (c *counting) about() string { return "counting" }
func (c *counting) stop() error   { return nil }

type countingWriter struct{ of *counting }

func (w countingWriter) append(_ context.Context, data []byte) error {
	if len(data) != appendBytes {
		return errors.New("want a kibibyte")
	}
	w.of.appended.Add(1)
	return nil
}

func (w countingWriter) close() error {
	w.of.closed.Add(1)
	return nil
}

func TestMeasureAppends(t *testing.T) {
	servers := &counting{}
	c, err := measureAppends(t.Context(), servers, 3, 20*time.Millisecond)
	if err != nil || servers.closed.Load() != 3 {
		t.Fatalf("found %+v, %d closed, %v", c, servers.closed.Load(), err)
	}
	if counted := float64(servers.appended.Load()) / 0.02; c.Appends <= 0 || c.Appends > counted || c.CPU != 1000 {
		t.Errorf("want at most %g appends/s at 1000 µs, found %+v", counted, c)
	}
	took := func(ms ...int) (all []time.Duration) {
		for _, n := range ms {
			all = append(all, time.Duration(n)*time.Millisecond)
		}
		return all
	}
	sum := sumAppends([]*appending{{all: 4, took: took(4, 1)}, {all: 6, took: took(3, 2)}}, 20*time.Millisecond, 2*time.Second)
	if want := (appendCell{Appends: 2, P50: 3000, P99: 4000, CPU: 2000}); sum != want {
		t.Errorf("want %+v, found %+v", want, sum)
	}
}

// A client repeats a command under its key at the other nodes while a node does not answer
// or asks it to wait. A command that is refused for good has failed.
func TestCrowdRepeats(t *testing.T) {
	keys := map[string]int{}
	status := http.StatusOK
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys[r.Header.Get("Idempotency-Key")]++
		w.WriteHeader(status)
		if status == http.StatusServiceUnavailable {
			status = http.StatusOK
		}
	}))
	defer up.Close()
	down := httptest.NewServer(nil)
	down.Close()
	c := &crowd{addresses: []string{down.URL, up.URL}}
	at := 0
	status = http.StatusServiceUnavailable
	if err := c.insist(t.Context(), up.Client(), &at, "a", "{}"); err != nil || keys["a"] != 2 || at != 1 {
		t.Errorf("found %v, asked %d times, then at %d", err, keys["a"], at)
	}
	status = http.StatusConflict
	if err := c.insist(t.Context(), up.Client(), &at, "b", "{}"); err == nil || keys["b"] != 1 {
		t.Errorf("want a refusal to be a failure, found %v after %d times", err, keys["b"])
	}
	now := time.Now()
	c.acks = []ack{{now.Add(-2 * time.Second), now.Add(-time.Second)}, {now.Add(-time.Second), now.Add(time.Second)}}
	if found := c.since(now); len(found) != 1 || found[0] != c.acks[1] {
		t.Errorf("found %v", found)
	}
}

// A meter passes the bytes of both directions on, and counts them.
func TestMeters(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	}))
	defer echo.Close()
	wires := &meters{}
	address, err := wires.open(t.Context(), echo.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	said := strings.Repeat("x", 5000)
	response, err := client.Post("http://"+address, "text/plain", strings.NewReader(said))
	if err != nil {
		t.Fatal(err)
	}
	heard, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil || string(heard) != said {
		t.Errorf("found %d bytes, %v", len(heard), err)
	}
	client.CloseIdleConnections()
	wires.close()
	if n := wires.bytes.Load(); n < 10000 || n > 11000 {
		t.Errorf("want twice 5000 bytes and their headers counted, found %d", n)
	}
}

func TestFind(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var none *missing
	if _, err := find("etcd", t.TempDir(), etcdHint); !errors.As(err, &none) || !strings.Contains(err.Error(), "make bench-servers") {
		t.Errorf("found %v", err)
	}
}
