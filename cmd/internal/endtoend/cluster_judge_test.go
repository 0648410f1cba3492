//go:build unix

package endtoend

import (
	"encoding/json"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/ringrift/rift/cmd/internal/queuemodel"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/work"
)

// judge compares what the nodes hold, with each other and with what clients were told.
func (r *rounds) judge() {
	t := r.t
	t.Helper()
	var found faults
	var events []domain.Envelope
	logs := map[string][]domain.Envelope{}
	for _, name := range members {
		logs[name] = inspect(t, r.data[name])
		if len(logs[name]) > len(events) { // the last to stop wrote that it leads
			events = logs[name]
		}
	}
	for _, name := range members {
		sameEvents(name, logs[name], events, &found)
	}
	byCommand := checkOrder(events, &found)
	r.witness.ledger.checkAnswers(events, byCommand, &found)
	checkQueue(events, &found)
	r.checkTerms(events, &found)
	drift := r.mostDrift()
	r.checkTimes(byCommand, drift, &found)
	found.tell(t, "the logs")
	history := append(r.witness.history(), r.unseen(byCommand)...)
	allowForDrift(history, drift)
	r.total += len(history)
	for _, err := range r.witness.errors {
		t.Error(err)
	}
	result, info := porcupine.CheckOperationsVerbose(queuemodel.Queue, history, checking)
	if result != porcupine.Ok {
		picture := filepath.Join(t.ArtifactDir(), "cluster.html")
		if err := porcupine.VisualizePath(queuemodel.Queue, info, picture); err != nil {
			t.Error(err)
		}
		t.Errorf("the history is %s, want it linearizable; its picture is %s (kept with -artifacts)", result, picture)
	}
	t.Logf("judged: %d events on each node, %d operations", len(events), len(history))
}

// sameEvents wants the log of a node to be the beginning of the longest one.
func sameEvents(name string, log, longest []domain.Envelope, found *faults) {
	for i, e := range log {
		want := longest[i]
		if e.ID != want.ID || e.Stream != want.Stream || e.Revision != want.Revision || e.Type != want.Type || !e.Time.Equal(want.Time) ||
			string(e.Data) != string(want.Data) || e.Meta.Command != want.Meta.Command || e.Meta.Actor != want.Meta.Actor || e.Meta.Causation != want.Meta.Causation {
			found.add("%s: want %v, found %v", name, want, e)
		}
	}
	if missing := len(longest) - len(log); missing > 4 {
		found.add("%s: want %d events, found %d", name, len(longest), len(log))
	}
}

// checkTerms wants one leader in each term: of those that the log tells of, and of those
// that the nodes said while they ran.
func (r *rounds) checkTerms(events []domain.Envelope, found *faults) {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := map[uint64]bool{}
	for _, e := range events {
		if e.Type != (election.LeaderChanged{}).EventType() {
			continue
		}
		var changed election.LeaderChanged
		if err := json.Unmarshal(e.Data, &changed); err != nil {
			found.add("%v: %v", e, err)
			continue
		}
		if told[changed.Term] {
			found.add("%v: want one change of leader in term %d", e, changed.Term)
		}
		told[changed.Term] = true
		if changed.Leader != "" && r.leaders[changed.Term] != nil && !r.leaders[changed.Term][string(changed.Leader)] {
			found.add("%v: in term %d %v said that they lead", e, changed.Term, slices.Collect(maps.Keys(r.leaders[changed.Term])))
		}
	}
	for term, names := range r.leaders {
		if len(names) > 1 {
			found.add("term %d: %v said that they lead, want one", term, slices.Sorted(maps.Keys(names)))
		}
	}
}

// unseen gives the claims whose answer nobody heard, and that took items all the same: an
// attempt that waited in a node for longer than its caller did. They took effect
// sometime after they were sent.
func (r *rounds) unseen(byCommand map[string][]domain.Envelope) (claims []porcupine.Operation) {
	w := r.witness
	for _, key := range slices.Sorted(maps.Keys(w.first)) {
		if _, heard := w.told[key]; heard || w.ledger.entries[key].path != "/work/claim" {
			continue
		}
		for _, e := range byCommand[key] {
			var claimed work.Claimed
			if err := json.Unmarshal(e.Data, &claimed); err != nil || e.Type != claimed.EventType() {
				continue
			}
			claims = append(claims, porcupine.Operation{
				ClientId: roundClients + 1, Call: w.first[key], Return: math.MaxInt64,
				Input:  queuemodel.Asked{Verb: "claim", Item: claimed.TaskID, Returned: math.MaxInt64},
				Output: queuemodel.Told{Lease: claimed.Lease, Deadline: nanos(claimed.Deadline)},
			})
		}
	}
	return claims
}
