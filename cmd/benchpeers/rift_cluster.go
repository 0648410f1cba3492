package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// riftCluster are nodes that replicate one log.
type riftCluster struct {
	program string
	dir     string
	version string
	members []*member
	writers atomic.Int64
}

// member is a node of the cluster.
type member struct {
	node
	name   string
	listen string
}

// startCluster starts nodes with rift's default settings and a policy that admits the
// load. through returns, for the address at which a node listens, the address that the
// other nodes use.
func startCluster(ctx context.Context, program, dir string, count int, through func(listen string) (string, error)) (c *riftCluster, err error) {
	c = &riftCluster{program: program, dir: dir}
	if c.version, err = versionOf(ctx, program); err != nil {
		return nil, err
	}
	init := []string{"cluster", "init", "--cluster-key", filepath.Join(dir, "cluster.key")}
	for i := range count {
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		m := &member{name: fmt.Sprintf("n%d", i+1), listen: fmt.Sprintf("127.0.0.1:%d", port)}
		at, err := through(m.listen)
		if err != nil {
			return nil, err
		}
		init = append(init, m.name+"=http://"+at)
		c.members = append(c.members, m)
	}
	if said, err := exec.CommandContext(ctx, program, init...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cluster init: %w\n%s", err, said)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	for _, m := range c.members {
		if err := c.launch(m); err != nil {
			return c, err
		}
	}
	for _, m := range c.members {
		if err := m.ready(ctx); err != nil {
			return c, err
		}
	}
	leader, err := c.leader(ctx)
	if err != nil {
		return c, err
	}
	_, err = prepare(ctx, leader.address)
	return c, err
}

// direct makes the other nodes use the address itself.
func direct(listen string) (string, error) { return listen, nil }

// launch starts a node, for the first time or again.
func (c *riftCluster) launch(m *member) (err error) {
	m.node, err = launch(c.program, filepath.Join(c.dir, m.name), "--cluster-key", filepath.Join(c.dir, m.name+".key"), "--listen", m.listen, "--insecure-esdb")
	m.address = "http://" + m.listen
	return err
}

// raftState is the part of GET /raft/state that is used here.
type raftState struct {
	Role     string `json:"role"`
	Term     uint64 `json:"term"`
	Commit   uint64 `json:"commit"`
	Applied  uint64 `json:"applied"`
	Position uint64 `json:"position"`
}

func (m *member) state(ctx context.Context) (s raftState, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s, http11{m.address, http.DefaultClient}.get(ctx, "/raft/state", &s)
}

// leader waits until a node says that it leads.
func (c *riftCluster) leader(ctx context.Context) (leader *member, err error) {
	return leader, poll(ctx, "a node that leads", func() bool {
		newest := uint64(0)
		for _, m := range c.members {
			if s, err := m.state(ctx); err == nil && s.Role == "leader" && s.Term > newest {
				leader, newest = m, s.Term
			}
		}
		return leader != nil
	})
}

// level waits until a node has applied what the leader has committed at the call.
func (c *riftCluster) level(ctx context.Context, m *member) error {
	leader, err := c.leader(ctx)
	if err != nil {
		return err
	}
	want, err := leader.state(ctx)
	if err != nil {
		return err
	}
	return poll(ctx, m.name+" as far as the leader", func() bool {
		s, err := m.state(ctx)
		return err == nil && s.Applied >= want.Commit
	})
}

// poll waits until holds returns true.
func poll(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("want %s: %w", what, ctx.Err())
		}
	}
	return nil
}

func (c *riftCluster) cpu() (time.Duration, error) {
	var all group
	for _, m := range c.members {
		all = append(all, m.process)
	}
	return all.cpu()
}

func (c *riftCluster) about() string { return "rift " + c.version }

// stop ends the nodes, each after it has handed over its leadership.
func (c *riftCluster) stop() (err error) {
	for _, m := range c.members {
		if m.process != nil {
			err = errors.Join(err, m.stop())
		}
	}
	return err
}

// writer appends with the client of EventStoreDB, because that uses gRPC, as etcd's does.
func (c *riftCluster) writer(ctx context.Context) (writer, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, err
	}
	config, err := esdb.ParseConnectionString("esdb://" + leader.listen + "?tls=false")
	if err != nil {
		return nil, err
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		return nil, err
	}
	return &riftWriter{client: client, stream: fmt.Sprintf("bench-%d", c.writers.Add(1)), expected: esdb.NoStream{}}, nil
}

// riftWriter appends to a stream.
type riftWriter struct {
	client   *esdb.Client
	stream   string
	expected esdb.ExpectedRevision
}

func (w *riftWriter) append(ctx context.Context, data []byte) error {
	event := esdb.EventData{EventID: uuid.New(), EventType: "measured", ContentType: esdb.ContentTypeJson, Data: data}
	answer, err := w.client.AppendToStream(ctx, w.stream, esdb.AppendToStreamOptions{ExpectedRevision: w.expected}, event)
	if err == nil {
		w.expected = esdb.Revision(answer.NextExpectedVersion)
	}
	return err
}

func (w *riftWriter) close() error { return w.client.Close() }

// throughNodes is the queue of a cluster for workers at all nodes, or at the leader only.
type throughNodes struct {
	*riftCluster
	leading bool
}

func (t throughNodes) client(ctx context.Context, i int) (client, error) {
	m := t.members[i%len(t.members)]
	if t.leading {
		var err error
		if m, err = t.leader(ctx); err != nil {
			return nil, err
		}
	}
	return register(ctx, m.address, i, true)
}

// settle waits for the leader, and until the other nodes have applied what it has.
func (t throughNodes) settle(ctx context.Context) error {
	leader, err := t.leader(ctx)
	if err != nil {
		return err
	}
	if err := settle(ctx, leader.address); err != nil {
		return err
	}
	for _, m := range t.members {
		if err := t.level(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
