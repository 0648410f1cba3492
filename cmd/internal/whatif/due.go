package whatif

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/commands"
	nodescmd "github.com/ringrift/rift/commands/nodes"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/projections"
)

const (
	dueAtOnce = 1024                   // commands that one look at the clock lists of each kind
	lookEvery = time.Second            // of the log's time, between looks for what is not recorded
	tickLasts = 100 * time.Millisecond // commands of the clock that are so close belong to one tick
)

// dueLists is what the clock would command at a time, in each world.
type dueLists struct {
	at    time.Time
	lists [][]commands.Timed
}

// due lists what the clock would command now.
func (w *world) due(now time.Time) (due []commands.Timed, err error) {
	return due, w.view(func(v projections.View) error {
		unknown := func(domain.NodeID) *nodes.Level { return nil }
		due, _, err = workcmd.Clock(w.queue, now, commands.Presence{}, w.policy, dueAtOnce, unknown)
		if err != nil {
			return err
		}
		for _, clock := range wiring.Clocks() {
			timed, _, err := clock(v, now, w.policy, dueAtOnce)
			if err != nil {
				return err
			}
			due = append(due, timed...)
		}
		return nil
	})
}

// dueAt lists it in each world.
func (w *walk) dueAt(now time.Time) (found dueLists, err error) {
	found.at, found.lists = now, make([][]commands.Timed, len(w.worlds))
	for i, one := range w.worlds {
		if found.lists[i], err = one.due(now); err != nil {
			return found, err
		}
	}
	return found, nil
}

// command finds a command of the clock in each world; nil where it is not due.
func (d dueLists) command(id string) (found []domain.Command, everywhere bool) {
	found, everywhere = make([]domain.Command, len(d.lists)), true
	for i, list := range d.lists {
		at := slices.IndexFunc(list, func(t commands.Timed) bool { return alike(t.ID) == alike(id) })
		if at < 0 {
			everywhere = false
			continue
		}
		found[i] = list[at].Command
	}
	return found, everywhere && len(d.lists) > 0
}

// alike returns the id of a command of the clock without what may differ between worlds:
// an announced level of pressure is numbered by the changes of the level.
func alike(id string) string {
	rest, announced := strings.CutPrefix(id, pressureCommands)
	if _, level, numbered := strings.Cut(rest, "/"); announced && numbered {
		return pressureCommands + level
	}
	return id
}

// pressureCommands is the prefix of the ids of announcements of pressure.
const pressureCommands = domain.ClockCommands + "pressure/"

// clocked returns what the clock commands in each world under the id of a recorded
// command; false if the log does not tell what it was. e is its first event.
func (w *walk) clocked(e domain.Envelope) ([]domain.Command, bool, error) {
	if strings.HasPrefix(e.Meta.Command, silentCommands) {
		found, told := w.silent(e)
		return found, told, nil
	}
	if e.Time.Sub(w.dues.at).Abs() < tickLasts {
		if found, everywhere := w.dues.command(e.Meta.Command); everywhere {
			return found, true, nil
		}
	}
	var err error
	if w.dues, err = w.dueAt(e.Time); err != nil {
		return nil, false, err
	}
	found, _ := w.dues.command(e.Meta.Command)
	return found, found[0] != nil, nil
}

// silentCommands is the prefix of the ids of commands about nodes that were not heard
// from. When that was is only in the event that the command led to.
const silentCommands = domain.ClockCommands + "silent/"

func (w *walk) silent(e domain.Envelope) (found []domain.Command, told bool) {
	c := nodescmd.SilentNode{}
	switch event := e.Event.(type) {
	case nodes.Unhealthy:
		c.NodeID, c.Silent = event.NodeID, event.SilentSeconds
	case nodes.HostOffline:
		c.NodeID, c.Silent = event.NodeID, event.SilentSeconds
	default:
		return nil, false
	}
	for _, one := range w.worlds {
		c.Factor = nodes.PolicyOf(one.policy).Patience.Factor(c.NodeID, nil)
		found = append(found, c)
	}
	return found, true
}

// look looks for commands of the clock that are due before an event, and are not due
// under the recorded policy. They are decided as of the event before.
func (w *walk) look(next domain.Envelope) error {
	if next.Time.Sub(w.looked) < lookEvery || w.before.Position == 0 || w.worlds[1].unfit != nil {
		return nil
	}
	w.looked = next.Time
	found, err := w.dueAt(next.Time)
	if err != nil {
		return err
	}
	w.dues = found
	usual := map[string]bool{}
	for _, timed := range found.lists[0] {
		usual[timed.ID] = true
	}
	for _, list := range found.lists[1:] {
		for _, timed := range list {
			if usual[timed.ID] || w.ahead[timed.ID] != nil {
				continue
			}
			usual[timed.ID] = true
			if err := w.dueAhead(next, timed.ID, found); err != nil {
				return fmt.Errorf("%s: %w", timed.ID, err)
			}
		}
	}
	return nil
}

// dueAhead decides a command of the clock that is not due under the recorded policy.
func (w *walk) dueAhead(next domain.Envelope, id string, found dueLists) error {
	asked, _ := found.command(id)
	facts := w.facts(next, id)
	facts.Actor, facts.Causation, facts.Correlation, facts.Request = clockActor, "", id, ""
	results, err := w.decideAll(asked, facts, "")
	if err != nil {
		return err
	}
	d := &Decision{Position: w.before.Position, Event: w.before.Type, Time: next.Time, By: clockActor, Command: typeOf(asked), id: id}
	if w.compare(d, results) {
		w.ahead[id], w.alike[alike(id)] = d, d
	}
	return nil
}

// typeOf returns the type of a command that some world has.
func typeOf(asked []domain.Command) string {
	for _, c := range asked {
		if c != nil {
			return c.CommandType()
		}
	}
	return ""
}
