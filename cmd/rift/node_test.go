package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
	"github.com/ringrift/rift/transport"
)

// realNode serves a data folder as `rift serve` does; its read models have
// applied everything when a request comes in.
func realNode(t *testing.T, data string) *httptest.Server {
	t.Helper()
	log, err := pebblelog.Open(filepath.Join(data, node.LogFolder), pebblelog.Options{Small: true})
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(node.Config{Node: "n1", Cluster: "main", Log: log, StoreDir: filepath.Join(data, node.ModelsFolder), Manual: true, Store: store.Options{Small: true}})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := markInstance(data)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := transport.NewHandler(n.Backend(), transport.Config{Instance: instance}, wiring.Areas()...)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.Sync(r.Context()); err != nil {
			t.Error(err)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// An item's whole life, and a ghost that reports too late, from the command line.
func TestTheLifeOfAnItem(t *testing.T) {
	server := realNode(t, t.TempDir())
	env := map[string]string{"RIFT_ADDR": server.URL, "USER": "ann"}
	do := func(args ...string) ran { return riftWith(t, "", env, args...) }
	do("nodes", "register", "gpu-7", "--capabilities", "selfplay,gpu", "--facts", `{"gpu":"H100"}`, "-o", "table").want(t, exitDone, "NODE_REGISTERED in node-gpu-7", "")
	do("work", "add", "selfplay", "--task-id", "t-1", "--priority", "80", "--dry-run", "-o", "table").want(t, exitDone, "nothing was stored", "")
	do("work", "list", "-o", "table").want(t, exitDone, "no items: `rift work add selfplay` queues one\n", "")
	do("work", "add", "selfplay", "--task-id", "t-1", "--config-key", "hex8_2p", "--idempotency-key", "k1", "-o", "table").want(t, exitDone, "task id  t-1\nstored   TASK_SPAWNED in task-t-1 at", "")
	do("work", "add", "selfplay", "--task-id", "t-1", "--config-key", "hex8_2p", "--idempotency-key", "k1").want(t, exitDone, `"task_id": "t-1"`, "")
	do("work", "add", "selfplay", "--task-id", "t-1").want(t, exitConflict, "", "rift: ")
	do("work", "add", "self play", "--priority", "101").want(t, exitError, "", "priority: want 0 to 100, found 101")
	do("work", "claim", "gpu-7", "-o", "table").want(t, exitDone, "finish with: rift work complete t-1 1\n", "")
	do("work", "claim", "gpu-7", "-o", "table").want(t, exitDone, "nothing for gpu-7: `rift work explain --node gpu-7` says why\n", "")
	do("work", "start", "t-1", "1").want(t, exitDone, `"deadline"`, "")
	do("work", "heartbeat", "t-1", "1", "--progress", `{"games":40}`).want(t, exitDone, `"cancel": false`, "")
	do("work", "explain", "--task", "t-1", "-o", "table").want(t, exitDone, "GATE", "")
	do("work", "complete", "t-1", "9").want(t, exitConflict, "", "drop this attempt and claim again")
	do("work", "complete", "t-1", "1", "--result", `{"games":200}`).want(t, exitDone, "TASK_COMPLETED", "")
	do("work", "show", "t-1", "-o", "table").want(t, exitDone, "done", "")
	do("work", "show", "t-2").want(t, exitError, "", "`rift work list` shows the items there are")
	do("work", "history", "-o", "csv").want(t, exitDone, "t-1,done,selfplay,hex8_2p", "")
	do("work", "status", "-o", "table").want(t, exitDone, "back-pressure none: 0 pending", "")
	for range nodes.DefaultPolicy().UnhealthyReadings - 1 {
		do("nodes", "heartbeat", "gpu-7", "--disk-percent", "99").want(t, exitDone, `"state": "online"`, "")
	}
	do("nodes", "heartbeat", "gpu-7", "--disk-percent", "99").want(t, exitDone, "NODE_UNHEALTHY", "")
	do("nodes", "list", "-o", "table").want(t, exitDone, "unhealthy", "")
	do("nodes", "show", "gpu-7", "-o", "table").want(t, exitDone, "H100", "")
	do("nodes", "close-breaker", "gpu-7", "new driver").want(t, exitDone, `"events": []`, "")
	do("nodes", "retire", "gpu-7", "sold", "-o", "table").want(t, exitDone, "NODE_RETIRED in node-gpu-7", "")
	do("nodes", "retire", "gpu-8", "sold").want(t, exitError, "", "no node \"gpu-8\" is known")
	do("admin", "pauses", "-o", "table").want(t, exitDone, "nothing is paused\n", "")
	do("admin", "pause", "tournament", "upgrade", "--seconds", "30m", "-o", "table").want(t, exitDone, "KIND_PAUSED in admin-main:tournament at", "")
	do("admin", "pauses", "-o", "csv").want(t, exitDone, ",ann,", "")
	do("admin", "pause", "tournament", "cluster").want(t, exitDone, `"paused": true`, "")
	do("admin", "pauses", "-o", "csv").want(t, exitDone, "tournament,cluster", "")
	do("admin", "status", "-o", "table").want(t, exitDone, "tournament: cluster, upgrade until ", "")
	do("log", "show", "--type", "KIND_PAUSED", "-o", "json").want(t, exitDone, `"actor": "ann"`, "")
	do("admin", "pause", "gauntlet", "audit", "--actor", "auditor").want(t, exitDone, `"paused": true`, "")
	do("admin", "pauses", "-o", "csv").want(t, exitDone, ",auditor,", "")
	do("admin", "resume", "tournament", "upgrade", "-o", "jsonl").want(t, exitDone, `"held_by":["cluster"]`, "")
	do("admin", "dead-letters", "-o", "table").want(t, exitDone, "no dead letters\n", "")
	do("admin", "dead-letters", "list", "-o", "table").want(t, exitDone, "no dead letters\n", "")
	do("admin", "dead-letters", "history", "-o", "table").want(t, exitDone, "nobody retried or discarded one\n", "")
	do("admin", "dead-letters", "retry", "work.TASK_FAILED@42").want(t, exitError, "", "`rift admin dead-letters` shows what is parked")
	do("admin", "dead-letters", "discard", "work.TASK_FAILED@42").want(t, exitError, "", "is parked")
	do("admin", "dead-letters", "show", "work.TASK_FAILED@42").want(t, exitError, "", "is parked")
	do("nodes", "show", "gpu-8").want(t, exitError, "", "`rift nodes register` adds one")
	do("admin", "handlers", "-o", "table").want(t, exitDone, "TASK_CLAIMED", "")
	do("admin", "projections", "-o", "table").want(t, exitDone, "work", "")
	do("admin", "projections", "list", "-o", "csv").want(t, exitDone, "work,", "")
	do("admin", "projections", "rebuild", "works").want(t, exitError, "", "`rift admin projections` lists the read models")
	do("admin", "projections", "rebuild", "work", "--dry-run", "-o", "table").want(t, exitDone, "nothing was stored", "")
	do("admin", "projections", "rebuild", "work", "--reason", "rows look wrong", "-o", "table").want(t, exitDone,
		"PROJECTION_REBUILD_REQUESTED in admin-main:projection:work at", "work was built again: version")
	do("admin", "projections", "rebuild", "elo", "--detach").want(t, exitDone, `"PROJECTION_REBUILD_REQUESTED"`, "")
	do("admin", "projections", "-o", "jsonl").want(t, exitDone, `"generation":1`, "")
	do("work", "show", "t-1", "-o", "table").want(t, exitDone, "done", "")
	do("admin", "dead-letters", "-o", "table").want(t, exitDone, "no dead letters", "")

	claimed := regexp.MustCompile(`(?m)^(\d+),[^,]*,TASK_CLAIMED,`).FindStringSubmatch(do("log", "show", "--type", "TASK_CLAIMED", "-o", "csv").stdout)
	if claimed == nil {
		t.Fatal("the log shows no claim")
	}
	do("at", claimed[1], "work", "show", "t-1", "-o", "table").want(t, exitDone, "leased", "")
	do("work", "show", "t-1", "--at", claimed[1]).want(t, exitDone, `"state": "leased"`, "")
	do("at", claimed[1], "work", "add", "x").want(t, exitError, "", "asks nothing of a past state")
	do("at", "now", "work", "status").want(t, exitError, "", "want a position such as 48211")
}

// A node shows the same of its log as its folder does, however events are chosen.
func TestShowANode(t *testing.T) {
	folder := sampleFolder(t)
	server := realNode(t, folder)
	for _, c := range selections {
		if got := positions(t, append([]string{"--addr", server.URL}, c.args...)...); got != c.want {
			t.Errorf("%v: found %q, want %q", c.args, got, c.want)
		}
	}
	r := rift(t, "log", "stat", "--addr", server.URL)
	var stat logStat
	if err := json.Unmarshal([]byte(r.stdout), &stat); err != nil || stat.Events != 5 || stat.Streams != 3 || stat.Head != 5 {
		t.Errorf("found %+v, %v", r, err)
	}
	rift(t, "log", "tail", "--addr", server.URL, "-n", "2", "-o", "jsonl").want(t, exitDone, `{"position":4,`, "")
	out := filepath.Join(t.TempDir(), "out.jsonl.zst")
	rift(t, "log", "export", "--addr", server.URL, out).want(t, exitDone, `"events": 5`, "")
	rift(t, "log", "show", "--addr", server.URL, "--where", "data.prioritty > 3").want(t, exitDone, `"events": []`, "could not be asked of 5 events; the first: position 1: ")
}

// More events than a page, both ways.
func TestPages(t *testing.T) {
	file, data := manyEvents(t, 2500), filepath.Join(t.TempDir(), "data")
	rift(t, "log", "import", "--data", data, file).want(t, exitDone, `"appended": 2500`, "")
	server := realNode(t, data)
	for _, reverse := range []bool{false, true} {
		args := []string{"--addr", server.URL}
		if reverse {
			args = append(args, "--reverse")
		}
		found := strings.Fields(positions(t, args...))
		first, last := "1", "2500"
		if reverse {
			first, last = last, first
		}
		if len(found) != 2500 || found[0] != first || found[2499] != last {
			t.Errorf("reverse %v: found %d events, want 2500 from %s to %s", reverse, len(found), first, last)
		}
	}
}

// A folder that is being served is read through its node, once the node has written its
// address.
func TestServedFolder(t *testing.T) {
	folder := sampleFolder(t)
	server := realNode(t, folder)
	rift(t, "log", "stat", "--data", folder).want(t, exitUnreachable, "", "ask that node with --addr instead")
	if err := recordAddress(folder, "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	rift(t, "log", "stat", "--data", folder).want(t, exitUnreachable, "", "nothing that is rift answers at http://127.0.0.1:1\n")
	rift(t, "log", "stat", "--data", folder, "--addr", server.URL).want(t, exitDone, `"events": 5`, "")
	if err := recordAddress(folder, strings.TrimPrefix(server.URL, "http://")); err != nil {
		t.Fatal(err)
	}
	rift(t, "log", "stat", "--data", folder).want(t, exitDone, `"events": 5`, "")
	rift(t, "log", "show", "--data", folder, "--limit", "1").want(t, exitDone, "TASK_SPAWNED", "")
	rift(t, "log", "verify", "--data", folder).want(t, exitUnreachable, "", "a node has it open")
	rift(t, "serve", "--data", folder, "--listen", "127.0.0.1:0").want(t, exitUnreachable, "", "rift admin shutdown --addr http://127.0.0.1:")
}

// A question to a data folder is answered only by the node that serves it: not by another
// node that has its address now, nor by the one in RIFT_ADDR, nor by the node of the folder
// that it was copied from.
func TestAFolderIsNotAnsweredByAnotherNode(t *testing.T) {
	folder := sampleFolder(t)
	server := realNode(t, folder)
	other := realNode(t, t.TempDir())
	rift(t, "work", "add", "x", "--task-id", "in-other", "--addr", other.URL).want(t, exitDone, "", "")
	env := map[string]string{"RIFT_ADDR": other.URL}
	if err := recordAddress(folder, strings.TrimPrefix(server.URL, "http://")); err != nil {
		t.Fatal(err)
	}
	riftWith(t, "", env, "log", "stat", "--data", folder).want(t, exitDone, `"events": 5`, "")

	secret := writeFile(t, "tokens", "me sesame-open-wide-now\n")
	stranger := newFakeNode(t, 200, map[string]string{"Rift-Instance": "another"}, `{"position":1,"events":[]}`)
	for _, address := range []string{other.URL, stranger.URL} {
		if err := recordAddress(folder, strings.TrimPrefix(address, "http://")); err != nil {
			t.Fatal(err)
		}
		for _, verb := range [][]string{{"log", "stat"}, {"log", "show"}, {"log", "export", "-"}, {"why", "1"}, {"report", "queue"}} {
			args := append(verb, "--data", folder, "--token-file", secret)
			riftWith(t, "", env, args...).want(t, exitUnreachable, "", "the node at "+address+" serves another folder\n")
			rift(t, append(args, "--addr", other.URL)...).want(t, exitUnreachable, "", "the node at "+other.URL+" serves another folder\n")
		}
	}
	for _, request := range stranger.requests {
		if request.Header.Get("Authorization") != "" || request.URL.Path != "/healthz" {
			t.Errorf("a stranger was asked %s and shown %q", request.URL, request.Header.Get("Authorization"))
		}
	}

	if err := recordAddress(folder, strings.TrimPrefix(server.URL, "http://")); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	_, release, err := openLog(copied, false) // somebody else reads the copy
	if err != nil {
		t.Fatal(err)
	}
	rift(t, "log", "stat", "--data", copied).want(t, exitUnreachable, "", "the node at "+server.URL+" serves another folder\n")
	if err := release(); err != nil {
		t.Fatal(err)
	}
	rift(t, "log", "stat", "--data", copied).want(t, exitDone, `"events": 5`, "")
}

func TestTheMarkOfAFolder(t *testing.T) {
	folder := t.TempDir()
	if _, err := instanceOf(folder); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("found %v, want no mark in a new folder", err)
	}
	first, err := markInstance(folder)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := markInstance(folder); err != nil || again != first {
		t.Errorf("found %s %v, want the mark to stay %s", again, err, first)
	}
	if err := os.WriteFile(filepath.Join(folder, instanceFile), []byte("half a wo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if made, err := markInstance(folder); err != nil || made == first {
		t.Errorf("found %s %v, want another mark for one that was broken", made, err)
	}
}
