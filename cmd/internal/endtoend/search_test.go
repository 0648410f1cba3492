//go:build unix

package endtoend

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
)

// A node that is killed in the middle of generations goes on at the very one: the log
// says of every generation what a search says that is told the same values and was never
// interrupted, bit for bit.
func TestSearchGoesOnAfterKills(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	c := p.caller()
	c.must(t, order{"start", "/cmaes/start", `{"run":"r","x0":[1,-1],"sigma0":0.5,"population":5,"generations":6,"seed":11,"objective":{"command":"sphere"}}`})
	claims := 0
	for done := 0; done < 30; {
		var items []lease
		eventually(t, "an item of the search", func() bool {
			claims++
			a, err := c.do(t.Context(), order{fmt.Sprintf("claim-%d", claims), "/work/claim", `{"node_id":"n1","limit":2}`})
			items = a.Items
			return err == nil && len(items) > 0
		})
		for _, item := range items {
			var asked cmaesrun.Payload
			if err := json.Unmarshal(item.Payload, &asked); err != nil {
				t.Fatal(err)
			}
			value := asked.X[0]*asked.X[0] + 3*asked.X[1]*asked.X[1]
			c.must(t, order{"done-" + string(item.TaskID), "/work/complete", fmt.Sprintf(`{"task_id":%q,"lease":%d,"result":{"fitness":%v}}`, item.TaskID, item.Lease, value)})
			done++
			if done%7 == 3 { // while its reactors are at it
				p.kill()
				p = serve(t, data)
				c = p.caller()
			}
		}
	}
	eventually(t, "the end of the search", func() bool {
		var answer struct {
			Run struct {
				State cmaesrun.Phase `json:"state"`
			} `json:"run"`
		}
		said := rift(t, "cmaes", "status", "r", "--addr", c.base, "-o", "json")
		return json.Unmarshal([]byte(said.stdout), &answer) == nil && answer.Run.State == cmaesrun.Done
	})
	p.kill()
	uninterrupted(t, data)
}

// uninterrupted tells a search what the log says was told, and compares.
func uninterrupted(t *testing.T, data string) {
	t.Helper()
	exported := filepath.Join(t.TempDir(), "log.jsonl")
	rift(t, "log", "export", "--data", data, exported).must(t)
	file, err := os.Open(exported)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	catalog, err := wiring.Catalog()
	if err != nil {
		t.Fatal(err)
	}
	var search *cmaes.Search
	var told []cmaes.Evaluation
	generations := 0
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Type    string          `json:"type"`
			Version int             `json:"version"`
			Data    json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		event, err := catalog.Decode(line.Type, line.Version, line.Data)
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case cmaesrun.Started:
			if search, err = cmaes.New(e.Search); err != nil {
				t.Fatal(err)
			}
		case cmaesrun.CandidateEvaluated:
			told = append(told, cmaes.Evaluation{Generation: e.Generation, Index: e.Index, Values: []float64{e.Fitness}})
		case cmaesrun.GenerationTold:
			if err := search.Tell(told); err != nil {
				t.Fatal(err)
			}
			told = nil
		case cmaesrun.GenerationAsked:
			generations++
			if found := cmaesrun.Digest(search); found != e.Digest {
				t.Errorf("generation %d: want digest %s, found %s", e.Generation, e.Digest, found)
			}
		case cmaesrun.Finished:
			if e.Sigma != search.Run.Sigma || e.Evaluations != 30 {
				t.Errorf("want sigma %v after 30 evaluations, found %+v", search.Run.Sigma, e)
			}
		}
	}
	if generations != 6 {
		t.Errorf("want 6 generations, found %d", generations)
	}
}
