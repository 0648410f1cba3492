package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/transport/esdbserver/esdbtest"
)

func backUp(t *testing.T, to string, args ...string) backedUp {
	t.Helper()
	var done backedUp
	if err := json.Unmarshal([]byte(mustRift(t, append([]string{"backup", to, "-o", "json"}, args...)...)), &done); err != nil {
		t.Fatal(err)
	}
	return done
}

// wantSameLog checks that two logs answer alike.
func wantSameLog(t *testing.T, first, second string) {
	t.Helper()
	for _, question := range [][]string{
		{"log", "show", "-o", "jsonl"},
		{"replay", "-o", "json"},
		{"replay", "--to", "5", "-o", "json"},
		{"why", "5", "-o", "json"},
		{"log", "stat", "-o", "csv"},
	} {
		ask := func(data string) ran {
			args := append([]string{}, question...)
			if question[0] == "replay" {
				args = append(args, data)
			} else {
				args = append(args, "--data", data)
			}
			r := rift(t, args...)
			r.stdout = strings.ReplaceAll(r.stdout, data, "DATA")
			return r
		}
		if want, found := ask(first), ask(second); want.code != exitDone && want.code != exitFindings || want.code != found.code || want.stdout != found.stdout {
			t.Errorf("rift %v: want of both the same, found %d: %s%s\nand %d: %s%s", question, want.code, want.stdout, want.stderr, found.code, found.stdout, found.stderr)
		}
	}
}

// TestBackupOfAFolder backs up a data folder twice and restores it; the restored folder
// answers as the first does, and is served.
func TestBackupOfAFolder(t *testing.T) {
	data, temporary := recordedLog(t), t.TempDir()
	to, restored := filepath.Join(temporary, "backup"), filepath.Join(temporary, "restored")
	first := backUp(t, to, "--data", data)
	if first.Added == 0 || first.Events != first.Added || len(first.Digest) != 64 || first.From != data || first.Bytes == 0 {
		t.Errorf("want all events added, found %+v", first)
	}
	if again := backUp(t, to, "--data", data); again.Added != 0 || again.Digest != first.Digest || again.Events != first.Events {
		t.Errorf("want nothing added, found %+v", again)
	}
	rift(t, "backup", to, "--data", data, "-o", "table").want(t, exitDone, "added   0 events, 0 B\nhas     "+first.Events.String()+" events", "")
	rift(t, "backup", "verify", to, "-o", "table").want(t, exitDone, "all readable, and as they were backed up", "")
	rift(t, "backup", "verify", to, "-o", "json").want(t, exitDone, `"digest": "`+first.Digest+`"`, "")
	rift(t, "restore", to, "--data", restored, "-o", "table").want(t, exitDone, "next: rift log verify --data "+restored, "")
	rift(t, "log", "verify", "--data", restored, "-o", "table").want(t, exitDone, "all readable", "")
	wantSameLog(t, data, restored)
	if whole := backUp(t, filepath.Join(temporary, "other"), "--data", restored); whole.Digest != first.Digest || whole.Log != first.Log {
		t.Errorf("want the digest of %+v, found %+v", first, whole)
	}
	address := serving(t, "--data", restored)
	rift(t, "work", "add", "selfplay", "--addr", address).want(t, exitDone, "TASK_SPAWNED", "")
	if more := backUp(t, to, "--addr", address); more.Added == 0 || more.Log != first.Log {
		t.Errorf("want what the restored node added, found %+v", more)
	}
	rift(t, "backup", to, "--data", data).want(t, exitConflict, "", "want a log that continues its")
}

// TestBackupOfANode backs up a node that runs, by its address and by its folder, with the
// limits of streams.
func TestBackupOfANode(t *testing.T) {
	temporary := t.TempDir()
	data, to, restored := filepath.Join(temporary, "data"), filepath.Join(temporary, "backup"), filepath.Join(temporary, "restored")
	address, stop := serve(t, "--insecure-esdb", "--data", data)
	rift(t, "work", "add", "selfplay", "--task-id", "one", "--addr", address).want(t, exitDone, "", "")
	client := esdbClient(t, address)
	if _, err := client.AppendToStream(t.Context(), "orders", esdb.AppendToStreamOptions{},
		esdb.EventData{EventType: "paid", ContentType: esdb.ContentTypeBinary, Data: []byte("{\xff\x00 not JSON")}); err != nil {
		t.Fatal(err)
	}
	first := backUp(t, to, "--addr", address)
	if _, err := client.TombstoneStream(t.Context(), "orders", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}}); err != nil {
		t.Fatal(err)
	}
	second := backUp(t, to, "--data", data) // a node has it open, and is asked
	if first.Added == 0 || first.Limits != 0 || second.Added == 0 || second.Limits != 1 || second.Events != first.Events+second.Added {
		t.Errorf("want more and a limit, found %+v after %+v", second, first)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	last := backUp(t, to, "--data", data) // what the node wrote when it stopped
	rift(t, "restore", to, "--data", restored).want(t, exitDone, `"limits": 1`, "")
	wantSameLog(t, data, restored)
	if whole := backUp(t, filepath.Join(temporary, "other"), "--data", data); whole.Digest != last.Digest {
		t.Errorf("want one digest for folder and node, found %+v and %+v", whole, last)
	}
	address = serving(t, "--insecure-esdb", "--data", restored)
	_, err := esdbClient(t, address).AppendToStream(t.Context(), "orders", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "paid", ContentType: esdb.ContentTypeBinary})
	if code, ok := esdb.FromError(err); ok || code.Code() != esdb.ErrorCodeStreamDeleted {
		t.Errorf("want the stream deleted, found %v", err)
	}
}

// TestBackupAsksAgain backs up a node through something that loses every other answer.
func TestBackupAsksAgain(t *testing.T) {
	data, to := recordedLog(t), filepath.Join(t.TempDir(), "backup")
	target, err := url.Parse("http://" + serving(t, "--data", data))
	if err != nil {
		t.Fatal(err)
	}
	node, frames := httputil.NewSingleHostReverseProxy(target), 0
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/backup/frame" {
			if frames++; frames%2 == 1 {
				panic(http.ErrAbortHandler)
			}
		}
		node.ServeHTTP(w, r)
	}))
	defer between.Close()
	if done := backUp(t, to, "--addr", between.URL); done.Added == 0 || frames != 2 {
		t.Errorf("want all events and a frame asked for twice, found %+v and %d", done, frames)
	}
	rift(t, "backup", "verify", to).want(t, exitDone, `"ok": true`, "")
}

// TestBackupRefuses says what is not backed up or restored, and why.
func TestBackupRefuses(t *testing.T) {
	data, temporary := recordedLog(t), t.TempDir()
	to := filepath.Join(temporary, "backup")
	done := backUp(t, to, "--data", data)
	elsewhere := serving(t, "--data", filepath.Join(temporary, "elsewhere"), "--log", esdbtest.Start(t).ConnectionString())
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"backup"}, exitError, "want FOLDER"},
		{[]string{"backup", data, "--data", data}, exitConflict, "in it"},
		{[]string{"backup", "http://127.0.0.1:1", "--data", data}, exitError, "named by --addr"},
		{[]string{"backup", to, "--data", filepath.Join(temporary, "none")}, exitError, "want a folder, found none"},
		{[]string{"backup", to, "--addr", "127.0.0.1:1"}, exitUnreachable, "nothing answers"},
		{[]string{"backup", filepath.Join(temporary, "x"), "--addr", elsewhere}, exitError, "by `rift log copy`"},
		{[]string{"restore", to}, exitError, "want --data"},
		{[]string{"restore", to, "--data", data}, exitConflict, "want a folder that is not there yet"},
		{[]string{"restore", data, "--data", filepath.Join(temporary, "y")}, exitError, "found none of its files there"},
		{[]string{"backup", "verify", temporary}, exitError, "found none of its files there"},
	} {
		if r := rift(t, c.args...); r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("rift %v: want exit code %d and %q, found %d: %s", c.args, c.code, c.want, r.code, r.stderr)
		}
	}
	file := filepath.Join(to, "000000000001-"+pad(done.Events.String())+".events")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	events := "1-" + done.Events.String()
	rift(t, "backup", "verify", to, "-o", "table").want(t, exitFindings, events, "1 finding")
	rift(t, "backup", "verify", to, "-o", "json").want(t, exitFindings, `"ok": false`, "")
	restored := filepath.Join(temporary, "restored")
	rift(t, "restore", to, "--data", restored).want(t, exitError, "", "events 1 to "+done.Events.String()+" cannot be read")
	rift(t, "backup", to, "--data", data).want(t, exitError, "", "rift backup verify")
	// What is begun is not taken for a log.
	partial := logFolder(restored) + pebblelog.PartialSuffix
	if _, err := os.Stat(partial); err != nil {
		t.Fatal(err)
	}
	rift(t, "log", "stat", "--data", restored).want(t, exitConflict, "", "remove "+partial)
	if t.Failed() {
		t.FailNow() // a node would serve it
	}
	rift(t, "serve", "--data", restored).want(t, exitConflict, "", "interrupted while it was restored or salvaged")
	key := filepath.Join(temporary, "cluster.key")
	rift(t, "cluster", "init", "--cluster-key", key, "n1=http://127.0.0.1:1").want(t, exitDone, "", "")
	rift(t, "serve", "--data", restored, "--cluster-key", nodeKeyPath(key, "n1"), "--listen", "127.0.0.1:0").want(t, exitConflict, "", "remove "+partial)
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	rift(t, "restore", to, "--data", restored).want(t, exitDone, done.Digest, "")
	if err := os.WriteFile(filepath.Join(to, "MANIFEST.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	rift(t, "backup", "verify", to).want(t, exitFindings, "want the manifest of a backup", "")
}

func pad(digits string) string { return strings.Repeat("0", 12-len(digits)) + digits }

// TestBackupOfAMember backs up a member of a cluster; what is restored is the log of a node
// alone, of which another cluster is made.
func TestBackupOfAMember(t *testing.T) {
	t.Parallel()
	temporary := t.TempDir()
	data, to, restored := filepath.Join(temporary, "n1"), filepath.Join(temporary, "backup"), filepath.Join(temporary, "restored")
	key, address := filepath.Join(temporary, "cluster.key"), freeAddress(t)
	rift(t, "cluster", "init", "--cluster-key", key, "n1=http://"+address).want(t, exitDone, "", "")
	_, stop := serve(t, "--data", data, "--cluster-key", nodeKeyPath(key, "n1"), "--listen", address)
	rift(t, "work", "add", "selfplay", "--task-id", "before", "--addr", address).want(t, exitDone, "", "")
	running := backUp(t, to, "--addr", address)
	stop()
	rift(t, "backup", to, "--data", data).want(t, exitDone, "", "is of a member of a cluster")
	if running.Events == 0 {
		t.Errorf("want events of the running member, found %+v", running)
	}
	rift(t, "restore", to, "--data", restored).want(t, exitDone, "", "")
	if entries, err := os.ReadDir(restored); err != nil || len(entries) != 1 || entries[0].Name() != "log" {
		t.Fatalf("want nothing of Raft restored, found %v, %v", entries, err)
	}
	t.Run("alone", func(t *testing.T) {
		alone := serving(t, "--data", restored)
		rift(t, "work", "show", "before", "--addr", alone).want(t, exitDone, "before", "")
		rift(t, "work", "add", "selfplay", "--task-id", "alone", "--addr", alone).want(t, exitDone, "", "")
	})
	other, address := filepath.Join(t.TempDir(), "cluster.key"), freeAddress(t)
	rift(t, "cluster", "init", "--cluster-key", other, "n1=http://"+address).want(t, exitDone, "", "")
	serving(t, "--data", restored, "--cluster-key", nodeKeyPath(other, "n1"), "--listen", address)
	rift(t, "work", "add", "selfplay", "--task-id", "after", "--addr", address).want(t, exitDone, "", "")
	rift(t, "work", "show", "alone", "--addr", address).want(t, exitDone, "alone", "")
}
