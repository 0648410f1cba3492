package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// clusterSettings are the settings of the table of the cluster.
type clusterSettings struct {
	settings
	peers string
	kills int
	stops int
	idle  time.Duration
	only  string
}

// parts are the parts of the table, in the order in which they are measured.
var parts = []string{"append", "queue", "relay", "failover", "idle"}

func parseCluster(args []string, stderr io.Writer) (clusterSettings, error) {
	var s clusterSettings
	flags := s.flags("cluster", 3, stderr)
	flags.StringVar(&s.peers, "peers", "", "folder of etcd and nats-server; what is not there is looked for on the PATH")
	flags.IntVar(&s.kills, "kills", 10, "how many leaders are killed")
	flags.IntVar(&s.stops, "stops", 5, "how many leaders are stopped in order")
	flags.DurationVar(&s.idle, "idle", 20*time.Second, "how long idle nodes are watched")
	flags.StringVar(&s.only, "only", strings.Join(parts, ","), "parts to measure, with commas between")
	if err := s.parse(flags, args); err != nil {
		return s, err
	}
	for part := range strings.SplitSeq(s.only, ",") {
		if !slices.Contains(parts, part) {
			return s, fmt.Errorf("-only: want some of %s, found %q", strings.Join(parts, ", "), part)
		}
	}
	if s.kills < 1 || s.stops < 1 || s.idle <= 0 {
		return s, errors.New("want at least one kill, one stop and a time to idle")
	}
	return s, nil
}

func (s clusterSettings) wants(part string) bool {
	return slices.Contains(strings.Split(s.only, ","), part)
}

// clusterReport is the result of a run.
type clusterReport struct {
	Lines   []line                    `json:"rows"`
	Rift    string                    `json:"rift"`
	Peers   []string                  `json:"peers"`
	Skipped []string                  `json:"skipped,omitempty"`
	Rounds  int                       `json:"rounds"`
	Cell    float64                   `json:"cell_seconds"`
	Seconds float64                   `json:"seconds"`
	Cores   int                       `json:"cores"`
	Load    [2]string                 `json:"load"` // load average of the machine before and after the run
	Appends map[string][][]appendCell `json:"appends,omitempty"`
	Queue   map[string][]cell         `json:"queue,omitempty"`
	Relay   *relayed                  `json:"relay,omitempty"`
	Kills   []lostLeader              `json:"kills,omitempty"`
	Stops   []lostLeader              `json:"stops,omitempty"`
	Failed  int                       `json:"failed_commands"`
	Idle    *idling                   `json:"idle,omitempty"`
}

// runCluster measures a cluster and prints the table.
func runCluster(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseCluster(args, stderr)
	if err != nil {
		return err
	}
	return inTempDir(s.dir, func(dir string) error {
		r := &clusterReport{Rounds: s.rounds, Cell: s.cell.Seconds(), Cores: runtime.GOMAXPROCS(0)}
		b := &clusterBench{clusterSettings: s, dir: dir, report: r, say: sayTo(stderr)}
		began := time.Now()
		r.Load[0] = loadOf()
		err := b.measure(ctx)
		if len(r.Lines) == 0 {
			return err
		}
		r.Load[1], r.Seconds = loadOf(), time.Since(began).Seconds()
		worstFirst(r.Lines)
		if s.output == "json" {
			return errors.Join(printJSON(stdout, r), err)
		}
		return errors.Join(r.table(stdout), err) // what was measured before the error is still useful
	})
}

// loadOf returns the load average of the last minute, empty if it is not known.
func loadOf() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// clusterBench is a run.
type clusterBench struct {
	clusterSettings
	dir    string
	report *clusterReport
	say    func(format string, args ...any)
	nodes  *riftCluster
}

// measure measures the parts.
func (b *clusterBench) measure(ctx context.Context) (err error) {
	folder := filepath.Join(b.dir, "three")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if b.nodes, err = startCluster(ctx, b.rift, folder, 3, direct); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.nodes.stop()) }()
	b.report.Rift = b.nodes.version
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{"append", b.appends}, {"queue", b.queue}, {"relay", b.relay}, {"failover", b.failover}, {"idle", b.idleNodes}} {
		if !b.wants(part.name) {
			continue
		}
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// line adds a row.
func (b *clusterBench) line(figure, unit string, rift, peer []float64, w want) {
	b.report.Lines = append(b.report.Lines, newLine(figure, unit, rift, peer, w))
}

// attempts is how often a cell is measured when a change of leader interrupts it, as
// happens on a busy machine.
const attempts = 3

// again measures a cell, and repeats it when it is interrupted.
func again[T any](b *clusterBench, what string, measure func() (T, error)) (measured T, err error) {
	for turn := range attempts {
		if measured, err = measure(); err == nil {
			return measured, nil
		}
		b.say("%s, attempt %d of %d: %v", what, turn+1, attempts, err)
	}
	return measured, fmt.Errorf("%s: %w", what, err)
}

// wantedAppends are the least ratios of appends a second, by peer and number of clients.
var wantedAppends = map[string]map[int]want{
	"etcd":      {1: {">=", 1}, 64: {">=", 1.4}},
	"JetStream": {64: {">=", 1.3}},
}

// appends compares three nodes of rift with the peers that are installed, in turn.
func (b *clusterBench) appends(ctx context.Context) (err error) {
	type rival struct {
		name    string
		servers replicas
	}
	rivals := []rival{{"rift", b.nodes}}
	defer func() {
		for _, r := range rivals[1:] {
			err = errors.Join(err, r.servers.stop())
		}
	}()
	for _, one := range []struct {
		name, program, hint string
		start               func(ctx context.Context, program, dir string) (replicas, error)
	}{
		{"etcd", "etcd", etcdHint, func(ctx context.Context, program, dir string) (replicas, error) { return startEtcd(ctx, program, dir) }},
		{"JetStream", "nats-server", natsHint, func(ctx context.Context, program, dir string) (replicas, error) {
			return startJetStream(ctx, program, dir)
		}},
	} {
		program, err := find(one.program, b.peers, one.hint)
		var none *missing
		if errors.As(err, &none) {
			b.say("skipped: %v", err)
			b.report.Skipped = append(b.report.Skipped, one.name+": "+err.Error())
			continue
		}
		if err != nil {
			return err
		}
		servers, err := one.start(ctx, program, b.dir)
		if err != nil {
			return err
		}
		rivals = append(rivals, rival{one.name, servers})
		b.report.Peers = append(b.report.Peers, servers.about())
	}
	cells := map[string][][]appendCell{} // by name, number of clients, round
	for _, r := range rivals {
		cells[r.name] = make([][]appendCell, len(appendClients))
	}
	for n := range b.rounds {
		b.say("appends, round %d of %d", n+1, b.rounds)
		for at, clients := range appendClients {
			for turn := range rivals {
				r := rivals[(turn+n)%len(rivals)]
				measured, err := again(b, fmt.Sprintf("%s, %d clients", r.name, clients), func() (appendCell, error) { return measureAppends(ctx, r.servers, clients, b.cell) })
				if err != nil {
					return err
				}
				cells[r.name][at] = append(cells[r.name][at], measured)
			}
		}
	}
	b.report.Appends = cells
	for at, clients := range appendClients {
		column := func(name string, value func(appendCell) float64) (values []float64) {
			for _, c := range cells[name][at] {
				values = append(values, value(c))
			}
			return values
		}
		many := load{clients, 1}.String()
		for _, r := range rivals[1:] {
			b.line("appends/s, "+many+", "+r.name, "appends/s", column("rift", func(c appendCell) float64 { return c.Appends }), column(r.name, func(c appendCell) float64 { return c.Appends }), wantedAppends[r.name][clients])
			b.line("append p99 µs, "+many+", "+r.name, "µs", column("rift", func(c appendCell) float64 { return c.P99 }), column(r.name, func(c appendCell) float64 { return c.P99 }), want{})
			b.line("CPU µs/append, "+many+", "+r.name, "µs", column("rift", func(c appendCell) float64 { return c.CPU }), column(r.name, func(c appendCell) float64 { return c.CPU }), want{})
		}
		if len(rivals) == 1 {
			b.line("appends/s, "+many, "appends/s", column("rift", func(c appendCell) float64 { return c.Appends }), nil, want{})
		}
	}
	return nil
}

// queueLoad is the load with which the queue of three nodes is compared with that of one.
var queueLoad = load{64, 1}

// queue compares the queue of three nodes with that of one.
func (b *clusterBench) queue(ctx context.Context) (err error) {
	alone, err := startRift(ctx, b.rift, b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, alone.stop()) }()
	sides := []struct {
		name string
		side side
	}{{"one node", alone}, {"three nodes", throughNodes{b.nodes, false}}, {"the leader", throughNodes{b.nodes, true}}}
	jobs := &bench{queueSettings: queueSettings{b.settings, 1000, 256}, rift: alone, peer: sides[1].side, say: b.say}
	if err := jobs.fill(ctx); err != nil {
		return err
	}
	cells := map[string][]cell{}
	for n := range b.rounds {
		b.say("queue, round %d of %d", n+1, b.rounds)
		for turn := range sides {
			s := sides[(turn+n)%len(sides)]
			measured, err := again(b, s.name, func() (cell, error) { return jobs.measure(ctx, s.side, queueLoad) })
			if err != nil {
				return err
			}
			cells[s.name] = append(cells[s.name], measured)
		}
	}
	b.report.Queue = cells
	column := func(name string) (values []float64) {
		for _, c := range cells[name] {
			values = append(values, c.Jobs)
		}
		return values
	}
	b.line("jobs/s, three nodes, one node", "jobs/s", column("three nodes"), column("one node"), want{">=", 0.6})
	b.line("jobs/s, at the leader, one node", "jobs/s", column("the leader"), column("one node"), want{})
	return nil
}

// relay compares calls through a mailbox with direct calls to the same node.
func (b *clusterBench) relay(ctx context.Context) (err error) {
	b.say("calls through a mailbox")
	folder := filepath.Join(b.dir, "relay")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	hub, err := startRift(ctx, b.rift, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.stop()) }()
	r, err := measureRelay(ctx, b.rift, folder, hub)
	if err != nil {
		return err
	}
	b.report.Relay = &r
	b.line("µs a relay adds to a direct call", "µs", []float64{r.Hub - r.Direct}, []float64{r.Direct}, want{"<=", 2})
	b.line(fmt.Sprintf("KiB a poll, %d waiting", waitingPolls), "KiB", []float64{r.Poll}, nil, want{"<=", 64})
	return nil
}

// failover ends leaders under load.
func (b *clusterBench) failover(ctx context.Context) error {
	b.say("%d leaders are killed", b.kills)
	kills, failed, err := b.nodes.loseMany(ctx, b.kills, syscall.SIGKILL, b.say)
	if err != nil {
		return err
	}
	b.say("%d leaders are stopped", b.stops)
	stops, failedThen, err := b.nodes.loseMany(ctx, b.stops, syscall.SIGTERM, b.say)
	if err != nil {
		return err
	}
	b.report.Kills, b.report.Stops, b.report.Failed = kills, stops, failed+failedThen
	var first, slowest []float64
	for _, k := range kills {
		first = append(first, k.First)
	}
	for _, s := range stops {
		slowest = append(slowest, 1000*s.Slowest)
	}
	sorted := slices.Sorted(slices.Values(first))
	b.line(fmt.Sprintf("s to an answer, %d kills", len(kills)), "s", first, nil, want{"<=", 2})
	b.line("the same, p99", "s", []float64{sorted[(99*len(sorted)+99)/100-1]}, nil, want{"<=", 4})
	b.line(fmt.Sprintf("slowest command ms, %d stops", len(stops)), "ms", slowest, nil, want{"<=", 200})
	b.line("commands failed, kills and stops", "", []float64{float64(b.report.Failed)}, nil, want{"<=", 0})
	return nil
}

// idleNodes measures nodes without load.
func (b *clusterBench) idleNodes(ctx context.Context) error {
	b.say("%d nodes idle for %v", idleNodes, b.idle)
	folder := filepath.Join(b.dir, "five")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	seen, err := measureIdle(ctx, b.rift, folder, b.idle)
	if err != nil {
		return err
	}
	b.report.Idle = &seen
	b.line(fmt.Sprintf("%% of a core, busiest of %d idle", idleNodes), "%", []float64{slices.Max(seen.Cores)}, nil, want{"<=", 2})
	b.line(fmt.Sprintf("KB/s between %d idle nodes", idleNodes), "KB/s", []float64{seen.Bytes / 1000}, nil, want{"<=", 20})
	b.line("events appended while idle", "", []float64{float64(seen.Events)}, nil, want{"<=", 0})
	return nil
}

// table prints the rows and notes on how they were measured.
func (r *clusterReport) table(w io.Writer) error {
	about := fmt.Sprintf("rift %s, three nodes with their default settings, on %d cores in %.0f s; load of the machine %s before, %s after.", r.Rift, r.Cores, r.Seconds, r.Load[0], r.Load[1])
	notes := []string{about}
	if r.Appends != nil {
		peers := "no other"
		if len(r.Peers) > 0 {
			peers = strings.Join(r.Peers, " and ") + ", three servers each"
		}
		notes = append(notes, fmt.Sprintf("Appends are of %d bytes to the node that leads, each naming the last of its stream and answered once a majority has it on disk: rift over the gRPC of EventStoreDB's client, against %s. Medians of the ratios of %d rounds, with cells of %.3g s. CPU is that of all three servers.",
			appendBytes, peers, r.Rounds, r.Cell))
	}
	if r.Queue != nil {
		notes = append(notes, fmt.Sprintf("Jobs are added, claimed and completed over HTTP by %d clients, a third at each node or all at the leader.", queueLoad.clients))
	}
	if r.Kills != nil {
		notes = append(notes, fmt.Sprintf("%d clients add jobs while leaders are killed (-9) or stopped; they know all nodes and repeat a command for %v. An answer is the first to a command that was sent after the kill.", crowdClients, clientPatience))
	}
	return printTable(w, "three nodes", r.Lines, append(notes, r.Skipped...))
}
