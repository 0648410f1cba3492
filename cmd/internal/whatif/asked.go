package whatif

import (
	"reflect"
	"slices"
	"strings"

	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/script"
	elocmd "github.com/ringrift/rift/commands/elo"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/projections/store"
)

// asked returns the command of a recorded event in each world; false if the log does not
// tell it.
func (w *walk) asked(e domain.Envelope, outcome script.Outcome) (asked []domain.Command, told bool, err error) {
	everywhere := func(c domain.Command) []domain.Command { return slices.Repeat([]domain.Command{c}, len(w.worlds)) }
	switch {
	case strings.HasPrefix(e.Meta.Actor, reactorActor):
		asked, told = w.awaited[e.Meta.Command]
		delete(w.awaited, e.Meta.Command)
		return asked, told && asked[0] != nil, nil
	case e.Meta.Actor == clockActor:
		return w.clocked(e)
	case e.Meta.Actor == processActor || e.Event == nil:
		return nil, false, nil
	}
	switch event := e.Event.(type) {
	case work.Spawned:
		return everywhere(workcmd.AddOf(event, e.Time, work.PolicyOf(w.worlds[0].policyNamed(e.Meta.Policy)))), true, nil
	case work.Claimed:
		claim, err := w.claimOf(e, event, outcome)
		return everywhere(claim), err == nil, err
	case elo.MatchRecorded:
		return everywhere(elocmd.RecordMatch{
			ConfigKey: event.ConfigKey, Participants: event.Participants, Result: elocmd.MatchResult{Ranks: event.Ranks}, GameID: event.GameID,
			Seed: event.Seed, PlayedAt: event.PlayedAt, Worker: event.Worker,
		}), true, nil
	}
	c, told := workcmd.ReportOf(e.Event)
	return everywhere(c), told, nil
}

// claimOf returns the claim of a recorded lease. What the node asked for is not recorded:
// it is anything, or items of that type, whichever leads to what is recorded.
func (w *walk) claimOf(e domain.Envelope, claimed work.Claimed, outcome script.Outcome) (workcmd.ClaimTasks, error) {
	claim := workcmd.ClaimTasks{NodeID: claimed.NodeID}
	facts := w.facts(e, e.Meta.Command)
	facts.Policy = w.worlds[0].policyNamed(e.Meta.Policy)
	found, err := w.decide(w.worlds[0], claim, facts)
	if err != nil || script.SameOutcomes([]script.Outcome{outcome}, found.outcomes) {
		return claim, err
	}
	if item, live := w.worlds[0].queue.Find(claimed.TaskID); live {
		claim.Capabilities = []string{item.Type}
	}
	return claim, nil
}

// facts returns the facts of a recorded decision, without its policy.
func (w *walk) facts(e domain.Envelope, command string) domain.Facts {
	return domain.Facts{
		Now: e.Time, Command: command, Request: e.Meta.Request, Node: e.Meta.Node, Actor: e.Meta.Actor, Causation: e.Meta.Causation,
		Correlation: e.Meta.Correlation, Term: e.Meta.Term, Seed: node.SeedOf(command),
	}.With(w.match)
}

// react takes the commands that a reactor gives for an event. Those that left events are
// decided when these come; the others at once.
func (w *walk) react(e domain.Envelope, reactor projections.Reactor, inside bool) error {
	if e.Event == nil {
		return nil
	}
	given := make([][]domain.Command, len(w.worlds))
	for i, one := range w.worlds {
		if err := one.view(func(v projections.View) (err error) {
			given[i], err = reactor.React(v, e)
			return err
		}); err != nil {
			return nil //nolint:nilerr // a failed handler is recorded by the node, and gives no command
		}
	}
	for index, asked := range paired(given) {
		id := store.CommandID(e.ID, reactor.Name, index)
		if asked[0] != nil && w.recorded[id] {
			w.awaited[id] = asked
			continue
		}
		if !inside {
			continue
		}
		facts := w.facts(e, id)
		facts.Actor, facts.Causation, facts.Request = reactorActor+reactor.Name, e.ID.String(), ""
		results, err := w.decideAll(asked, facts, "")
		if err != nil {
			return err
		}
		if results[0].unknown {
			continue
		}
		d := &Decision{Position: e.Position, Time: e.Time, Event: e.Type, By: facts.Actor, Command: typeOf(asked), id: id}
		w.compare(d, results)
	}
	return nil
}

// paired puts the commands of the worlds side by side: those of the first world in its
// order, each with the equal one, or else the next of its type, of the others; then what
// only others have.
func paired(given [][]domain.Command) (rows [][]domain.Command) {
	for _, c := range given[0] {
		row := make([]domain.Command, len(given))
		row[0] = c
		rows = append(rows, row)
	}
	for i, list := range given[1:] {
		left := slices.Clone(list)
		match := func(like func(a, b domain.Command) bool) {
			for _, row := range rows {
				if row[i+1] != nil || row[0] == nil {
					continue
				}
				if at := slices.IndexFunc(left, func(c domain.Command) bool { return like(row[0], c) }); at >= 0 {
					row[i+1] = left[at]
					left = slices.Delete(left, at, at+1)
				}
			}
		}
		match(func(a, b domain.Command) bool { return reflect.DeepEqual(a, b) })
		match(func(a, b domain.Command) bool { return a.CommandType() == b.CommandType() })
		for _, c := range left {
			at := slices.IndexFunc(rows, func(row []domain.Command) bool {
				return row[0] == nil && row[i+1] == nil && slices.ContainsFunc(row, func(other domain.Command) bool { return reflect.DeepEqual(other, c) })
			})
			if at < 0 {
				at, rows = len(rows), append(rows, make([]domain.Command, len(given)))
			}
			rows[at][i+1] = c
		}
	}
	return rows
}
