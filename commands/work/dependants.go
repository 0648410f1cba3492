package work

import (
	"fmt"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	"github.com/ringrift/rift/projections"
	policyview "github.com/ringrift/rift/projections/policy"
	workview "github.com/ringrift/rift/projections/work"
)

// abandonDependant cancels an item because an item it waits for will not be done.
// Reactors issue it.
type abandonDependant struct {
	TaskID     domain.TaskID `json:"task_id"`
	Dependency domain.TaskID `json:"dependency"`
	Because    domain.TaskID `json:"because"` // the first failed item of the chain
	Reason     string        `json:"reason"`
}

func (abandonDependant) CommandType() string       { return "work.abandon" }
func (c abandonDependant) Stream() domain.StreamID { return c.TaskID.Stream() }

func abandonTask(t work.Task, c abandonDependant, _ domain.Facts) ([]domain.Event, error) {
	if t.State != work.StateBlocked {
		return nil, nil
	}
	for _, dependency := range t.BlockedOn {
		if dependency == c.Dependency {
			return []domain.Event{work.Cancelled{TaskID: c.TaskID, Reason: c.Reason, Because: c.Because}}, nil
		}
	}
	return nil, nil
}

// ending is an item that ended without being done.
type ending struct {
	task   domain.TaskID
	state  work.State
	root   domain.TaskID // the first failed item of the chain; the item itself, if it is the first
	reason string
}

// because returns the reason for its dependants. It is passed down a chain
// unchanged, so it names the first failed item.
func (e ending) because() string {
	if e.root != e.task {
		return e.reason
	}
	return fmt.Sprintf("it depends on %s, which is %s: %s", e.task, e.state, commands.Or(e.reason, "no reason given"))
}

func rootOf(id, because domain.TaskID) domain.TaskID {
	if because != "" {
		return because
	}
	return id
}

// abandonAll cancels the items that wait for an item that ended without being done,
// if the policy says so. Their own dependants are cancelled by their events.
func abandonAll(v projections.View, end ending) ([]domain.Command, error) {
	waiting, err := workview.WaitingFor(v, end.task)
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	return abandon(v, end, waiting...)
}

func abandon(v projections.View, end ending, waiting ...domain.TaskID) ([]domain.Command, error) {
	policy, _, err := policyview.InForce(v)
	if err != nil || work.PolicyOf(policy).DependantsOfFailed != work.DependantsFail {
		return nil, err
	}
	var commands []domain.Command
	for _, id := range waiting {
		commands = append(commands, abandonDependant{TaskID: id, Dependency: end.task, Because: end.root, Reason: end.because()})
	}
	return commands, nil
}

// unblockAll unblocks the items that wait for an item that is done, or for the one
// it replaces.
func unblockAll(v projections.View, done domain.TaskID) ([]domain.Command, error) {
	row, _, err := workview.ItemsTable.Get(v, string(done))
	if err != nil {
		return nil, err
	}
	var commands []domain.Command
	for _, dependency := range []domain.TaskID{done, row.Replaces} {
		if dependency == "" {
			continue
		}
		waiting, err := workview.WaitingFor(v, dependency)
		if err != nil {
			return nil, err
		}
		for _, id := range waiting {
			commands = append(commands, unblockDependant{TaskID: id, Dependency: dependency})
		}
	}
	return commands, nil
}

type unblockDependant struct {
	TaskID     domain.TaskID `json:"task_id"`
	Dependency domain.TaskID `json:"dependency"`
}

func (unblockDependant) CommandType() string       { return "work.unblock" }
func (c unblockDependant) Stream() domain.StreamID { return c.TaskID.Stream() }

func unblockTask(t work.Task, c unblockDependant, _ domain.Facts) ([]domain.Event, error) {
	for _, dependency := range t.BlockedOn {
		if dependency == c.Dependency && !t.State.Final() {
			return []domain.Event{work.Unblocked(c)}, nil
		}
	}
	return nil, nil
}
