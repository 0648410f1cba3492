package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestClusterInit(t *testing.T) {
	key := filepath.Join(t.TempDir(), "cluster.key")
	nodes := []string{"n1=http://127.0.0.1:8771", "n2=http://127.0.0.1:8772", "n3=http://127.0.0.1:8773"}
	made := rift(t, append([]string{"cluster", "init", "--cluster-key", key}, nodes...)...)
	made.want(t, exitDone, "--cluster-key "+key+" --node-id n2", "")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("want a key that its owner alone reads, found %v, %v", info, err)
	}
	rift(t, append([]string{"cluster", "init", "--cluster-key", key}, nodes...)...).want(t, exitConflict, "", "want no such file yet")
	file, err := readClusterFile(key)
	if err != nil || len(file.Members) != 3 || len(file.Secret) != 2*secretBytes {
		t.Fatalf("want three nodes and a secret, found %+v, %v", file, err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"cluster", "init"}, "want the nodes as NAME=URL"},
		{[]string{"cluster", "init", "n1=127.0.0.1:8771"}, "want the address of n1 as http://host:port"},
		{[]string{"cluster", "init", "n1=http://a:1", "n1=http://b:1"}, "node n1 is named twice"},
		{[]string{"serve", "--cluster", "n1=http://127.0.0.1:8771"}, "cluster_key"},
		{[]string{"serve", "--cluster-key", key}, "want the name that this node has in the cluster"},
		{[]string{"serve", "--cluster-key", key, "--node-id", "n9"}, "node n9: want it among the nodes"},
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
	riftWith(t, "", env, "cluster", "promote", "n2", "--cluster-key", key).want(t, exitDone, `"role": "leader"`, "")
	riftWith(t, "", env, "work", "add", "selfplay", "--task-id", "after").want(t, exitDone, "", "")
	riftWith(t, "", env, "cluster", "transfer", "n2", "--cluster-key", key).want(t, exitDone, "", "")
	env["RIFT_ADDR"] = "http://" + second
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if status = riftWith(t, "", env, "work", "claim", "gpu-1"); status.code == exitDone {
			break
		}
	}
	status.want(t, exitDone, `"task_id": "before"`, "")
	riftWith(t, "", env, "cluster", "remove", "n7", "--cluster-key", key).want(t, exitError, "", "n7 is no member")
}
