package main

import (
	"path/filepath"
	"testing"
	"time"
)

// --print-config prints the settings of a node without starting it.
func TestPrintConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	file := writeFile(t, "rift.yaml", "listen: 127.0.0.1:1\nlimits:\n  in_flight: 3\n")
	env := map[string]string{"RIFT_NODE_ID": "n7"}
	riftWith(t, "", env, "serve", "--print-config", "--config", file, "--data", "d").want(t, exitDone, "data: d # --data\nlisten: 127.0.0.1:1 # "+file+"\n", "")
	riftWith(t, "", env, "serve", "--print-config").want(t, exitDone, "node_id: n7 # RIFT_NODE_ID\n", "")
	riftWith(t, "", map[string]string{"RIFT_LISTEN": "nowhere"}, "serve", "--log-level", "loud").want(t, exitError, "", "rift: settings: 2 faults\n  listen: want host:port, found \"nowhere\" (RIFT_LISTEN)\n  log_level: want debug, info, warn or error, found \"loud\" (--log-level)\n")
	broken := writeFile(t, "rift.yaml", "listn: 127.0.0.1:1\n")
	rift(t, "serve", "--config", broken).want(t, exitError, "", "listn: not a setting; did you mean listen? ("+broken+")")
	rift(t, "work", "status", "--config", broken).want(t, exitError, "", "did you mean listen?")
	rift(t, "work", "status", "--config", filepath.Join(t.TempDir(), "none.yaml")).want(t, exitError, "", "no such file")
}

// The grace of requests is shorter than that of the whole stop.
func TestRequestsEndWithinTheGrace(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{
		0: time.Second, time.Second: time.Second, 5 * time.Second: 4 * time.Second, 10 * time.Second: 8 * time.Second, time.Minute: 58 * time.Second,
	} {
		if got := requestsWithin(grace); got != want {
			t.Errorf("grace of %s: want %s for requests, found %s", grace, want, got)
		}
	}
}
