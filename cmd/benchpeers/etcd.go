package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// etcd is a cluster of three members.
type etcd struct {
	group
	endpoints []string
	version   string
	writers   atomic.Int64
}

const etcdHint = "Debian: apt-get install etcd-server"

// startEtcd starts three members with etcd's default settings.
func startEtcd(ctx context.Context, program, dir string) (e *etcd, err error) {
	said, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", program, err)
	}
	first, _, _ := strings.Cut(string(said), "\n")
	e = &etcd{version: "etcd " + strings.TrimSpace(strings.TrimPrefix(first, "etcd Version:"))}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop())
		}
	}()
	var peers, members []string
	for i := range 3 {
		client, err := freePort(ctx)
		if err != nil {
			return e, err
		}
		peer, err := freePort(ctx)
		if err != nil {
			return e, err
		}
		e.endpoints = append(e.endpoints, fmt.Sprintf("http://127.0.0.1:%d", client))
		peers = append(peers, fmt.Sprintf("http://127.0.0.1:%d", peer))
		members = append(members, fmt.Sprintf("e%d=%s", i, peers[i]))
	}
	for i, endpoint := range e.endpoints {
		p, err := start(exec.Command(program, "--name", fmt.Sprintf("e%d", i), "--data-dir", filepath.Join(dir, fmt.Sprintf("etcd%d", i)),
			"--listen-client-urls", endpoint, "--advertise-client-urls", endpoint, "--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "error"))
		if err != nil {
			return e, err
		}
		e.group = append(e.group, p)
	}
	return e, e.group[0].await(ctx, func(ctx context.Context) error {
		_, err := e.leader(ctx)
		return err
	})
}

// connect opens a connection to one endpoint.
func (e *etcd) connect(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: startPatience, Logger: zap.NewNop()})
}

// leader returns the endpoint of the leader.
func (e *etcd) leader(ctx context.Context) (leader string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, endpoint := range e.endpoints {
		client, err := e.connect(endpoint)
		if err != nil {
			return "", err
		}
		status, err := client.Status(ctx, endpoint)
		if err := errors.Join(err, client.Close()); err != nil {
			return "", err
		}
		if status.Leader == status.Header.MemberId {
			leader = endpoint
		}
	}
	if leader == "" {
		return "", errors.New("etcd: want a member that leads, found none")
	}
	return leader, nil
}

func (e *etcd) about() string { return e.version }

func (e *etcd) writer(ctx context.Context) (writer, error) {
	leader, err := e.leader(ctx)
	if err != nil {
		return nil, err
	}
	client, err := e.connect(leader)
	if err != nil {
		return nil, err
	}
	return &etcdWriter{client: client, key: fmt.Sprintf("stream-%d", e.writers.Add(1))}, nil
}

// stop ends the members.
func (e *etcd) stop() (err error) {
	for _, p := range e.group {
		err = errors.Join(err, p.stop(syscall.SIGTERM))
	}
	return err
}

// etcdWriter replaces the value of a key if no other client did.
type etcdWriter struct {
	client   *clientv3.Client
	key      string
	revision int64
}

func (w *etcdWriter) append(ctx context.Context, data []byte) error {
	answer, err := w.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(w.key), "=", w.revision)).Then(clientv3.OpPut(w.key, string(data))).Commit()
	if err != nil {
		return err
	}
	if !answer.Succeeded {
		return fmt.Errorf("etcd: want key %s at revision %d, found it changed", w.key, w.revision)
	}
	w.revision = answer.Header.Revision
	return nil
}

func (w *etcdWriter) close() error { return w.client.Close() }
