package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
)

func TestClusterInit(t *testing.T) {
	key := filepath.Join(t.TempDir(), "cluster.key")
	nodes := []string{"n1=http://127.0.0.1:8771", "n2=http://127.0.0.1:8772", "n3=http://127.0.0.1:8773"}
	made := rift(t, append([]string{"cluster", "init", "--cluster-key", key}, nodes...)...)
	made.want(t, exitDone, "--cluster-key "+nodeKeyPath(key, "n2"), "")
	for _, path := range []string{key, nodeKeyPath(key, "n1"), nodeKeyPath(key, "n3")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("want a key that its owner alone reads, found %v, %v", info, err)
		}
	}
	rift(t, append([]string{"cluster", "init", "--cluster-key", key}, nodes...)...).want(t, exitConflict, "", "want no such file yet")
	file, err := readClusterFile(key)
	if err != nil || len(file.Members) != 3 || len(file.Secret) != 64 {
		t.Fatalf("want three nodes and a secret, found %+v, %v", file, err)
	}
	second, err := readClusterFile(nodeKeyPath(key, "n2"))
	if err != nil || second.Node != "n2" || second.Secret == file.Secret || second.Cluster != file.Cluster {
		t.Fatalf("want a secret of the node's own, found %+v, %v", second, err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"cluster", "init"}, "want the nodes as NAME=URL"},
		{[]string{"cluster", "init", "n1=127.0.0.1:8771"}, "want the address of n1 as http://host:port"},
		{[]string{"cluster", "init", "n1=http://a:1", "n1=http://b:1"}, "node n1 is named twice"},
		{[]string{"cluster", "init", "n1=http://a:1", "n2=http://a:1/"}, "want addresses that differ, found http://a:1 for n1 and n2"},
		{[]string{"cluster", "join", "n4=http://a:1", "--join-token-file", key}, "want what `rift cluster token` makes"},
		{[]string{"serve", "--cluster", "n1=http://127.0.0.1:8771"}, "cluster_key"},
		{[]string{"serve", "--cluster-key", key}, "want the name that this node has in the cluster"},
		{[]string{"serve", "--cluster-key", key, "--node-id", "n9"}, "node n9: want it among the nodes"},
		{[]string{"serve", "--cluster-key", nodeKeyPath(key, "n1"), "--node-id", "n2"}, "want that of node n2, found that of n1"},
		{[]string{"cluster", "init", "--cluster-key", key + "2", "operator=http://a:1"}, "no node may be called operator"},
		{[]string{"cluster", "remove", "n1", "--cluster-key", nodeKeyPath(key, "n1")}, "want the operator's, found that of node n1"},
		{[]string{"cluster", "token", "--cluster-key", key, "--for", "0s", "--out", "-", "--addr", "http://127.0.0.1:1"}, "want more than 0s"},
		{[]string{"serve", "--cluster-key", key, "--node-id", "n1", "--read-only"}, "want neither log nor read_only"},
		{[]string{"serve", "--join", "http://127.0.0.1:1"}, "want it with cluster_key"},
	} {
		rift(t, c.args...).want(t, exitError, "", c.says)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	rift(t, "serve", "--cluster-key", key, "--node-id", "n1").want(t, exitError, "", "readable by its owner alone")
}

// TestClusterGrows serves a node alone, makes a cluster of its folder, and has a second
// one join it.
func TestClusterGrows(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	data := filepath.Join(folder, "n1")
	t.Run("alone", func(t *testing.T) {
		env := map[string]string{"RIFT_ADDR": "http://" + serving(t, "--data", data)}
		riftWith(t, "", env, "work", "add", "selfplay", "--task-id", "before").want(t, exitDone, "", "")
	})
	key, first, second := filepath.Join(folder, "cluster.key"), freeAddress(t), freeAddress(t)
	rift(t, "cluster", "init", "--cluster-key", key, "n1=http://"+first).want(t, exitDone, "", "")
	serving(t, "--data", data, "--cluster-key", key, "--node-id", "n1", "--listen", first)
	rift(t, "serve", "--data", data).want(t, exitConflict, "", "its log is replicated; serve it with --cluster-key")
	serving(t, "--data", filepath.Join(folder, "n2"), "--cluster-key", key, "--node-id", "n2", "--listen", second, "--join", "http://"+first)
	env := map[string]string{"RIFT_ADDR": "http://" + first}
	var status ran
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		status = riftWith(t, "", env, "cluster", "status", "-o", "csv")
		if status.code == exitDone && strings.Contains(status.stdout, "n1,leader") && strings.Contains(status.stdout, "n2,learner") {
			break
		}
	}
	status.want(t, exitDone, "n2,learner", "")
	rift(t, "cluster", "promote", "n2", "--cluster-key", key).want(t, exitDone, `"role": "follower"`, "") // asks the members in the file
	riftWith(t, "", env, "work", "add", "selfplay", "--task-id", "after").want(t, exitDone, "", "")
	riftWith(t, "", env, "cluster", "transfer", "n2", "--cluster-key", key).want(t, exitDone, "", "")
	t.Run("a token", func(t *testing.T) { joinsByToken(t, folder, key, "http://"+first) })
	env["RIFT_ADDR"] = "http://" + second
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if status = riftWith(t, "", env, "work", "claim", "gpu-1"); status.code == exitDone {
			break
		}
	}
	status.want(t, exitDone, `"task_id": "before"`, "")
	riftWith(t, "", env, "cluster", "remove", "n7", "--cluster-key", key).want(t, exitError, "", "n7 is no member")
}

// joinsByToken makes a token for one node, with which one joins and another does not.
func joinsByToken(t *testing.T, folder, key, addr string) {
	token, third := filepath.Join(folder, "join.token"), freeAddress(t)
	made := rift(t, "cluster", "token", "--cluster-key", key, "--node", "n3", "--out", token, "--addr", addr)
	made.want(t, exitDone, "cluster join n3=http://HOST:8770 --join-token-file "+token, "")
	if text, err := os.ReadFile(token); err != nil || strings.Contains(made.stdout, "secret") || !strings.Contains(string(text), "secret") {
		t.Fatalf("want the secret in the file alone, found %v, %s", err, made.stdout)
	}
	if info, err := os.Stat(token); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("want a token that its owner alone reads, found %v, %v", info, err)
	}
	rift(t, "cluster", "token", "--cluster-key", key, "--node", "n3", "--out", token, "--addr", addr).want(t, exitConflict, "", "name another file with --out")
	other := filepath.Join(folder, "other.key")
	rift(t, "cluster", "join", "n5=http://127.0.0.1:1", "--join-token-file", token, "--cluster-key", other, "--addr", addr).want(t, exitError, "", "want the node that the token is for, found n5")
	if _, err := os.Stat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want no key of a node that was refused, found %v", err)
	}
	own := filepath.Join(folder, "third", "n3.key")
	if err := os.Mkdir(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	rift(t, "cluster", "join", "n3=http://"+third, "--join-token-file", token, "--cluster-key", own).want(t, exitDone, "serve --cluster-key "+own, "")
	serving(t, "--cluster-key", own, "--data", filepath.Join(folder, "n3"), "--listen", third)
	env := map[string]string{"RIFT_ADDR": addr}
	var status ran
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if status = riftWith(t, "", env, "cluster", "status", "-o", "csv"); status.code == exitDone && strings.Contains(status.stdout, "n3,learner") {
			break
		}
	}
	status.want(t, exitDone, "n3,learner", "")
	rift(t, "cluster", "join", "n3=http://"+third, "--join-token-file", token, "--cluster-key", own).want(t, exitDone, "is a member", "") // again
	rift(t, "cluster", "remove", "n3", "--cluster-key", key, "--addr", addr).want(t, exitDone, "", "")
	rift(t, "cluster", "join", "n3=http://"+third, "--join-token-file", token, "--cluster-key", own).want(t, exitError, "", "left to be used")
	rift(t, "cluster", "join", "n3=http://"+third, "--join-token-file", token, "--cluster-key", own+"2", "--addr", addr).want(t, exitError, "", "left to be used")
}

// A member that stands still does not keep a node from asking the next one.
func TestJoinPassesOverAMemberThatStandsStill(t *testing.T) {
	t.Parallel()
	still := standsStill(t)
	folder := t.TempDir()
	operator, _, err := newClusterFiles(filepath.Join(folder, "cluster.key"), []config.Peer{{Node: "n1", Address: still.URL}, {Node: "n2", Address: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := operator.newToken("n3", 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	joiner, err := newJoiner(filepath.Join(folder, "n3.key"), config.Peer{Node: "n3", Address: "http://127.0.0.1:2"}, token)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = joiner.join(ctx, &http.Client{}, nil, func(error) { cancel() })
	if domain.CodeOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("want the second member asked in vain, found %v", err)
	}
}
