package main

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
)

// leading is a leadership that a test sets.
type leading struct{ self atomic.Bool }

func (l *leading) Leader() eventlog.Leader {
	return eventlog.Leader{NodeID: "n1", Term: 1, Self: l.self.Load()}
}

func (l *leading) Changes() <-chan struct{} { return nil }

func (l *leading) ConfirmLeader(context.Context) error { return nil }

// openedNode opens a node without a server; without a leadership it leads.
func openedNode(t *testing.T, leadership eventlog.Leadership) *node.Node {
	t.Helper()
	data := t.TempDir()
	log, err := pebblelog.Open(filepath.Join(data, node.LogFolder), pebblelog.Options{Small: true})
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(node.Config{
		Node: "n1", Cluster: "main", Log: log, Leadership: leadership, Manual: true,
		StoreDir: filepath.Join(data, node.ModelsFolder), Store: store.Options{Small: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// leadsWhereTheNodeDoes checks that a hook returns whether the node leads.
func leadsWhereTheNodeDoes(t *testing.T, hook func(*node.Node) func() bool) {
	t.Helper()
	led := &leading{}
	leads := hook(openedNode(t, led))
	if leads == nil {
		t.Fatal("want it told whether the node leads, found nothing that tells")
	}
	for _, want := range []bool{false, true, false} {
		if led.self.Store(want); leads() != want {
			t.Errorf("want %v where the node leads is %v", want, want)
		}
	}
	if leads := hook(openedNode(t, nil)); leads == nil || !leads() {
		t.Error("want a node that leads itself to count as leading")
	}
}

// Of several nodes only the one that leads reports who is alive.
func TestOnlyTheLeaderReportsMembers(t *testing.T) {
	leadsWhereTheNodeDoes(t, func(n *node.Node) func() bool {
		made, err := (&nodeServer{settings: config.Serve{SwimAddress: "http://127.0.0.1:1"}, name: "n1"}).memberConfig(n, "127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		return made.Leads
	})
}

// Of several nodes only the one that leads runs commands on other machines.
func TestOnlyTheLeaderRunsOverSSH(t *testing.T) {
	leadsWhereTheNodeDoes(t, func(n *node.Node) func() bool { return (&nodeServer{}).sshConfig(n).Leads })
}
