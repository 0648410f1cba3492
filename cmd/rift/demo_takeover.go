package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport"
)

// takeover is a cluster of three nodes with a worker, whose leader is killed while
// items are added.
type takeover struct {
	app     *app
	cluster *demoCluster
	key     string
	at      map[domain.NodeID]string // addresses of the nodes
	client  *client                  // of all of them
	began   time.Time                // when the first item was added
	moments []moment

	mu   sync.Mutex
	acks []ack
}

// ack is an addition that was acknowledged.
type ack struct {
	item     string
	sent, at time.Time
}

// moment is an event on the timeline.
type moment struct {
	At     time.Time     `json:"time"`
	What   string        `json:"what"`
	Leader domain.NodeID `json:"leader"` // the leader after it; empty: none
	Term   uint64        `json:"term"`
	// First is, if the event ends a leadership, the time until a command was
	// acknowledged that was sent after it.
	First *float64 `json:"first_acknowledged_after_seconds,omitempty"`
	Added int      `json:"added"`
	Done  int      `json:"done"`

	goes bool // the event ends a leadership
}

var takeoverNodes = []domain.NodeID{"n1", "n2", "n3"}

const (
	takeoverSeconds = 20
	takeoverPace    = 100 * time.Millisecond // between an acknowledgement and the next addition
	takeoverLook    = 20 * time.Millisecond
	takeoverPatient = 2 * time.Minute // bound of each step on a busy machine
)

// takeover runs the cluster, kills its leader, prints the outcome, and stops all
// processes.
func (a *app) takeover(ctx context.Context, f demoFlags) (err error) {
	if a.format == "" {
		a.format = "table"
	}
	running, cluster, err := newDemoCluster(ctx, f.data)
	if err != nil {
		return err
	}
	d := &takeover{app: a, cluster: cluster, key: filepath.Join(cluster.folder, defaultClusterKey), at: map[domain.NodeID]string{}}
	defer func() {
		if ended := d.cluster.close(); err == nil {
			err = ended
		}
		a.note("all stopped; the logs, and what was said, are in %s", cluster.folder)
	}()
	if err := d.open(running); err != nil {
		return err
	}
	if err := d.play(running, time.Duration(f.seconds)*time.Second); err != nil {
		return err
	}
	return d.show(running)
}

// open makes the key of a cluster on free ports, and a client of all nodes.
func (d *takeover) open(ctx context.Context) error {
	words := []string{"cluster", "init", "--cluster-key", d.key}
	var addresses []string
	for _, node := range takeoverNodes {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return domain.Errorf(domain.Unavailable, "a free port: %w", err)
		}
		defer func() { _ = free.Close() }() // the port was free; the node says if it is not
		d.at[node] = "http://" + free.Addr().String()
		words, addresses = append(words, string(node)+"="+d.at[node]), append(addresses, d.at[node])
	}
	if err := d.app.quietly().runs(ctx, words...); err != nil {
		return err
	}
	d.cluster.address = strings.Join(addresses, ",")
	var err error
	d.client, err = d.app.newClient(config.Client{Addr: d.cluster.address, Timeout: 30 * time.Second})
	return err
}

// serve starts a node, or starts it again.
func (d *takeover) serve(node domain.NodeID, again string) error {
	return d.cluster.serve(string(node)+again, "--cluster-key", d.key, "--node-id", string(node), "--data", d.data(node))
}

func (d *takeover) data(node domain.NodeID) string {
	return filepath.Join(d.cluster.folder, string(node))
}

// play goes through the steps while items are added.
func (d *takeover) play(ctx context.Context, most time.Duration) error {
	for _, node := range takeoverNodes {
		if err := d.serve(node, ""); err != nil {
			return err
		}
	}
	first, err := d.leader(ctx, 0)
	if err != nil {
		return err
	}
	if err := d.cluster.employ("gpu-1", "demo", "4", "demo", "job", "--took", "200ms"); err != nil {
		return err
	}
	d.began = time.Now()
	d.tell("three nodes serve, work begins", first)
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	enough, added := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(added)
		if err := d.add(work, enough); err != nil {
			d.cluster.broken(err)
		}
	}()
	if err := d.change(ctx, most, first); err != nil {
		cancel()
		<-added
		return err
	}
	close(enough)
	late := time.AfterFunc(takeoverPatient, func() {
		d.cluster.broken(domain.Errorf(domain.Timeout, "want the last item acknowledged within %s", takeoverPatient))
	})
	defer late.Stop()
	<-added
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return d.finish(ctx)
}

// change kills the leader, starts it again, and has the next leader transfer the
// leadership to it.
func (d *takeover) change(ctx context.Context, most time.Duration, first *raftlog.State) error {
	if err := d.until(ctx, most/5); err != nil {
		return err
	}
	if err := d.done(ctx, 1); err != nil {
		return err
	}
	d.cluster.kill(string(first.Node))
	d.goes(fmt.Sprintf("%s, which leads, is killed (-9)", first.Node), &raftlog.State{Term: first.Term})
	next, err := d.leader(ctx, first.Term)
	if err != nil {
		return err
	}
	d.tell(fmt.Sprintf("%s is elected", next.Node), next)
	if err := d.acknowledged(ctx); err != nil {
		return err
	}
	if err := d.until(ctx, most*2/5); err != nil {
		return err
	}
	if err := d.serve(first.Node, "-again"); err != nil {
		return err
	}
	d.tell(fmt.Sprintf("%s is started again", first.Node), next)
	head, err := d.client.head(ctx)
	if err != nil {
		return err
	}
	if err := d.wait(ctx, string(first.Node)+" to have the log again", func(ctx context.Context) bool {
		state, err := d.state(ctx, first.Node)
		return err == nil && !state.Copying && state.Leader != "" && state.Position >= head
	}); err != nil {
		return err
	}
	d.tell(fmt.Sprintf("%s has all of the log again", first.Node), next)
	if err := d.until(ctx, most*3/5); err != nil {
		return err
	}
	if err := d.handOver(ctx, first.Node); err != nil {
		return err
	}
	return d.until(ctx, most)
}

// handOver has the leader transfer the leadership to a node. A leader refuses while
// that node lags behind.
func (d *takeover) handOver(ctx context.Context, to domain.NodeID) error {
	var from, last *raftlog.State
	var asked time.Time
	if err := d.wait(ctx, string(to)+" to be given the leadership", func(ctx context.Context) bool {
		now, err := d.leads(ctx)
		if err != nil {
			return false
		}
		if now.Node == to {
			last = now
			return true
		}
		from, asked = now, time.Now()
		_ = d.app.quietly().runs(ctx, "cluster", "transfer", string(to), "--cluster-key", d.key, "--addr", d.at[now.Node]) // the next round asks again
		return false
	}); err != nil {
		return err
	}
	if from == nil { // the node became leader without a transfer
		d.tell(fmt.Sprintf("%s was elected again", to), last)
		return nil
	}
	d.goes(fmt.Sprintf("%s hands over to %s", from.Node, to), last)
	d.moments[len(d.moments)-1].At = asked
	return d.acknowledged(ctx)
}

// finish waits until the worker has done everything.
func (d *takeover) finish(ctx context.Context) error {
	now, err := d.leads(ctx)
	if err != nil {
		return err
	}
	d.tell("no more items are added", now)
	if err := d.done(ctx, len(d.acks)); err != nil {
		return err
	}
	d.tell("all items are done", now)
	return nil
}

// add adds items until there are enough. Each is requested with the same id until it is
// acknowledged.
func (d *takeover) add(ctx context.Context, enough <-chan struct{}) error {
	for n := 1; ; n++ {
		item := fmt.Sprintf("item-%d", n)
		sent := time.Now()
		for {
			_, err := d.client.do(ctx, "work.add", fmt.Appendf(nil, `{"task_type":"demo","task_id":%q}`, item), transport.ID("demo/"+item))
			if err == nil {
				break
			}
			switch domain.CodeOf(err) {
			case domain.Unavailable, domain.NotLeader, domain.Timeout, domain.TooMany:
			default:
				return err
			}
			if linger(ctx, takeoverLook) != nil {
				return nil // the demonstration ends
			}
		}
		d.mu.Lock()
		d.acks = append(d.acks, ack{item, sent, time.Now()})
		d.mu.Unlock()
		pause := time.NewTimer(takeoverPace)
		select {
		case <-pause.C:
		case <-enough:
			pause.Stop()
			return nil
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

// tell adds an event to the timeline and prints it.
func (d *takeover) tell(what string, now *raftlog.State) {
	m := moment{At: time.Now(), What: what, Leader: now.Node, Term: now.Term}
	d.moments = append(d.moments, m)
	d.app.note("%5.1f s: %s", m.At.Sub(d.began).Seconds(), what)
}

// goes adds an event that ends a leadership.
func (d *takeover) goes(what string, now *raftlog.State) {
	d.tell(what, now)
	d.moments[len(d.moments)-1].goes = true
}

// acknowledged waits for the acknowledgement of a command that was sent after the last
// leadership ended.
func (d *takeover) acknowledged(ctx context.Context) error {
	var since time.Time
	for _, m := range d.moments {
		if m.goes {
			since = m.At
		}
	}
	return d.wait(ctx, "a command to be acknowledged", func(context.Context) bool { return d.firstAfter(since) != nil })
}

// firstAfter returns the time from since to the first acknowledgement of a command that
// was sent after it; nil if there is none.
func (d *takeover) firstAfter(since time.Time) *float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.acks {
		if !one.sent.Before(since) {
			took := one.at.Sub(since).Seconds()
			return &took
		}
	}
	return nil
}

// done waits until so many items are done.
func (d *takeover) done(ctx context.Context, want int) error {
	return d.wait(ctx, output.Plural(want, "item")+" to be done", func(ctx context.Context) bool {
		var status struct {
			States struct {
				Done int `json:"done"`
			} `json:"by_state"`
		}
		answer, err := d.client.ask(ctx, "work.status", nil)
		return err == nil && json.Unmarshal(answer, &status) == nil && status.States.Done >= want
	})
}

// leader waits for a leader of a term later than after.
func (d *takeover) leader(ctx context.Context, after uint64) (now *raftlog.State, err error) {
	err = d.wait(ctx, "a node to lead", func(ctx context.Context) bool {
		state, err := d.leads(ctx)
		now = state
		return err == nil && now.Term > after
	})
	return now, err
}

// leads returns the state of the leader.
func (d *takeover) leads(ctx context.Context) (*raftlog.State, error) {
	seen := map[domain.NodeID]seenNode{}
	for _, node := range takeoverNodes {
		state, err := d.state(ctx, node)
		seen[node] = seenNode{state, err}
	}
	if leader := leaderState(seen); leader != nil {
		return leader, nil
	}
	return nil, domain.Errorf(domain.Unavailable, "no node leads")
}

func (d *takeover) state(ctx context.Context, node domain.NodeID) (*raftlog.State, error) {
	return d.app.askState(ctx, config.Client{Addr: d.at[node], Timeout: memberPatience})
}

// until waits until so much time has passed since the first item was added.
func (d *takeover) until(ctx context.Context, since time.Duration) error {
	if linger(ctx, max(0, since-time.Since(d.began))) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// wait waits until a condition holds.
func (d *takeover) wait(ctx context.Context, what string, holds func(context.Context) bool) error {
	late := time.Now().Add(takeoverPatient)
	for !holds(ctx) {
		if linger(ctx, takeoverLook) != nil {
			return context.Cause(ctx)
		}
		if time.Now().After(late) {
			return domain.Errorf(domain.Timeout, "want %s within %s", what, takeoverPatient)
		}
	}
	return nil
}
