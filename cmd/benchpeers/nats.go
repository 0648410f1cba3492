package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStream is a cluster of three NATS servers with one stream of three replicas.
type jetStream struct {
	group
	urls    map[string]string // by the name of the server
	version string
	writers atomic.Int64
}

const natsHint = "Debian: apt-get install nats-server"

// natsConfig makes the servers sync before they acknowledge, as the peers do by default:
// JetStream's default is to sync every two minutes.
const natsConfig = `server_name: %q
listen: %q
jetstream { store_dir: %q, sync_interval: always }
cluster { name: bench, listen: %q, routes: [%s] }
`

// streamName is the name of the stream.
const streamName = "bench"

// startJetStream starts three servers and makes the stream.
func startJetStream(ctx context.Context, program, dir string) (j *jetStream, err error) {
	said, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", program, err)
	}
	j = &jetStream{version: "NATS JetStream " + strings.TrimSpace(strings.TrimPrefix(string(said), "nats-server:")), urls: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.stop())
		}
	}()
	var names, listens, peers, routes []string
	for i := range 3 {
		client, err := freePort(ctx)
		if err != nil {
			return j, err
		}
		peer, err := freePort(ctx)
		if err != nil {
			return j, err
		}
		names = append(names, fmt.Sprintf("s%d", i))
		listens = append(listens, fmt.Sprintf("127.0.0.1:%d", client))
		peers = append(peers, fmt.Sprintf("127.0.0.1:%d", peer))
		routes = append(routes, fmt.Sprintf("%q", "nats://"+peers[i]))
		j.urls[names[i]] = "nats://" + listens[i]
	}
	for i, name := range names {
		file := filepath.Join(dir, name+".conf")
		text := fmt.Sprintf(natsConfig, name, listens[i], filepath.Join(dir, "nats-"+name), peers[i], strings.Join(routes, ", "))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return j, err
		}
		p, err := start(exec.Command(program, "-c", file))
		if err != nil {
			return j, err
		}
		j.group = append(j.group, p)
	}
	return j, j.group[0].await(ctx, j.create)
}

// create makes the stream once the servers are connected.
func (j *jetStream) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	connection, stream, err := j.connect("s0")
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = stream.CreateStream(ctx, jetstream.StreamConfig{Name: streamName, Subjects: []string{streamName + ".>"}, Storage: jetstream.FileStorage, Replicas: 3})
	return err
}

func (j *jetStream) connect(server string) (*nats.Conn, jetstream.JetStream, error) {
	connection, err := nats.Connect(j.urls[server], nats.IgnoreDiscoveredServers(), nats.NoReconnect())
	if err != nil {
		return nil, nil, err
	}
	stream, err := jetstream.New(connection)
	return connection, stream, err
}

// leader returns the server that leads the stream.
func (j *jetStream) leader(ctx context.Context) (string, error) {
	connection, client, err := j.connect("s0")
	if err != nil {
		return "", err
	}
	defer connection.Close()
	stream, err := client.Stream(ctx, streamName)
	if err != nil {
		return "", err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return "", err
	}
	if info.Cluster == nil || j.urls[info.Cluster.Leader] == "" || len(info.Cluster.Replicas) != 2 {
		return "", fmt.Errorf("JetStream: want a stream with a leader and two replicas, found %+v", info.Cluster)
	}
	return info.Cluster.Leader, nil
}

func (j *jetStream) about() string { return j.version }

func (j *jetStream) writer(ctx context.Context) (writer, error) {
	leader, err := j.leader(ctx)
	if err != nil {
		return nil, err
	}
	connection, client, err := j.connect(leader)
	if err != nil {
		return nil, err
	}
	return &natsWriter{connection: connection, client: client, subject: fmt.Sprintf("%s.%d", streamName, j.writers.Add(1))}, nil
}

// stop ends the servers.
func (j *jetStream) stop() (err error) {
	for _, p := range j.group {
		err = errors.Join(err, p.stop(syscall.SIGTERM))
	}
	return err
}

// natsWriter publishes to a subject if no other client did.
type natsWriter struct {
	connection *nats.Conn
	client     jetstream.JetStream
	subject    string
	last       uint64
}

// stillBusy is the error code of a message to a subject whose last message is being
// processed: that may be acknowledged already.
const stillBusy = 10164

func (w *natsWriter) append(ctx context.Context, data []byte) error {
	for {
		answer, err := w.client.Publish(ctx, w.subject, data, jetstream.WithExpectLastSequencePerSubject(w.last))
		var refused *jetstream.APIError
		switch {
		case err == nil:
			w.last = answer.Sequence
			return nil
		case !errors.As(err, &refused) || refused.ErrorCode != stillBusy || ctx.Err() != nil:
			return err
		}
	}
}

func (w *natsWriter) close() error {
	w.connection.Close()
	return nil
}
