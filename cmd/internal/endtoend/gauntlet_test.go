//go:build unix

package endtoend

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// measured is how a gauntlet stands.
type measured struct {
	State       string   `json:"state"`
	Games       int      `json:"games"`
	Pentanomial []int    `json:"pentanomial"`
	LLR         *float64 `json:"llr"`
	Elo         *float64 `json:"elo"`
	Error       *float64 `json:"error"`
	Decision    string   `json:"decision"`
	Reason      string   `json:"reason"`
	Parts       int      `json:"parts"`
}

// plays is what a worker's command does: play Hex, or die at it with a chance of so
// many in 256.
func plays(killed int) string {
	return fmt.Sprintf(`[ $(od -An -N1 -tu1 /dev/urandom) -lt %d ] && kill -9 $$; exec %q play --size 4`, killed, binary)
}

// machineDies is a command that takes its worker with it.
const machineDies = `kill -9 $PPID; sleep 60`

// player starts a worker and gives a channel that is closed when it is gone.
func player(t *testing.T, p *process, name, script string) <-chan struct{} {
	t.Helper()
	c := exec.Command(binary, "worker", "--node-id", name, "--addr", "http://"+p.address, "--scratch", filepath.Join(t.TempDir(), name),
		"--types", "gauntlet", "--poll", "50ms", "--node-heartbeat", "500ms", "--orphan-grace", "300ms", "--log-level", "error", "--", "/bin/sh", "-c", script)
	c.Env = environment()
	c.Stderr = io.Discard
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = c.Wait() // some are killed
		close(gone)
	}()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // to one that is gone, none
		<-gone
	})
	return gone
}

// measure runs a gauntlet of 200 games on a new node with these workers.
func measure(t *testing.T, workers, dying, killed int) measured {
	t.Helper()
	p := serve(t, t.TempDir())
	c := p.caller()
	c.must(t, order{"policy", "/policies/default", `{"reason":"short test","policy":{
		"work":{"lease_seconds":2,"backoff_base_seconds":0.02,"backoff_cap_seconds":0.05,"soft_limit":1000000,"hard_limit":1000000},
		"nodes":{"breaker_failures":1000000},"gauntlet":{"max_attempts":1000}}}`})
	c.must(t, order{"execute", "/gauntlet/execute", `{"config_key":"hex8_2p","model_id":"m2","baselines":["m1"],"games":200,"sprt":{"elo0":0,"elo1":2},
		"players":[{"model_id":"m1","player":"random"},{"model_id":"m2","player":"heuristic:0,0,0,0,1,0,0,0"}]}`})
	for k := range dying {
		<-player(t, p, fmt.Sprintf("d%d", k), machineDies) // with an item in hand: its lease runs out
	}
	for k := range workers {
		player(t, p, fmt.Sprintf("w%d", k), plays(killed))
	}
	var found struct {
		Gauntlet measured `json:"gauntlet"`
	}
	eventually(t, "the gauntlet is over", func() bool {
		response, err := http.Get(c.base + "/gauntlet/status?gauntlet_id=hex8_2p:m2")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
			t.Fatal(err)
		}
		return found.Gauntlet.State == "done" || found.Gauntlet.State == "failed"
	})
	return found.Gauntlet
}

// Two hundred real games over eight workers, a fifth of whose attempts are killed, and
// two beside them that die with an item in hand: every game counts once, and the decision is that of one worker.
func TestGauntlet(t *testing.T) {
	alone := measure(t, 1, 0, 0)
	many := measure(t, 8, 2, 51)
	a, err := json.Marshal(alone)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) || alone.State != "done" || alone.Games != 200 {
		t.Errorf("one worker:\n%s\neight:\n%s\nwant the same 200 games", a, b)
	}
}
