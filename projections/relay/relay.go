// Package relay is the read model of the calls through mailboxes: the waiting ones
// with their deadlines, and the outcomes by node.
//
// The content of a call is in its stream and not in a row. Read Projection.
package relay

import (
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/projections"
)

// CallRow is a waiting call.
type CallRow struct {
	CallID   relay.CallID    `json:"call_id"`
	Target   domain.NodeID   `json:"target"`
	Hub      domain.NodeID   `json:"hub"` // the hub of its mailbox
	State    relay.State     `json:"state"`
	Round    int             `json:"round"`
	Bytes    int             `json:"bytes"`
	Since    time.Time       `json:"since"`
	Deadline time.Time       `json:"deadline"`
	Position domain.Position `json:"position"`
}

// DeadlineRow is when a call expires.
type DeadlineRow struct {
	CallID relay.CallID `json:"call_id"`
	Round  int          `json:"round"`
	At     time.Time    `json:"at"`
}

// MailboxRow is the outcomes of the calls to a node.
type MailboxRow struct {
	NodeID    domain.NodeID   `json:"node_id"`
	Queued    uint64          `json:"queued"` // number of calls so far
	Delivered uint64          `json:"delivered"`
	Answered  uint64          `json:"answered"`
	Expired   uint64          `json:"expired"`
	Last      time.Time       `json:"last"`
	Position  domain.Position `json:"position"`
}

// The tables of the calls. Waiting calls are indexed by their target and by their
// own id.
var (
	CallsTable     = projections.Table[CallRow]{Name: "relay.calls"} // target, call
	DeadlinesTable = projections.Table[DeadlineRow]{Name: "relay.deadlines"}
	MailboxesTable = projections.Table[MailboxRow]{Name: "relay.mailboxes"}
)

// Projection returns the read model of the calls.
func Projection() projections.Projection {
	return projections.Projection{
		Name: "relay", Version: 1, About: "which calls wait in which mailbox, and what became of the others",
		Tables: []string{CallsTable.Name, DeadlinesTable.Name, MailboxesTable.Name},
		Handlers: []projections.Handler{
			projections.On(queued),
			projections.On(func(tx projections.Tx, e domain.Envelope, event relay.CallDelivered) error {
				key := callKey(event.Target, event.CallID)
				row, waits, err := CallsTable.Get(tx, key)
				if err != nil {
					return err
				}
				if waits {
					row.State = relay.Delivered
					if err := CallsTable.Put(tx, key, row); err != nil {
						return err
					}
				}
				return count(tx, e, event.Target, func(row *MailboxRow) { row.Delivered++ })
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, event relay.CallAnswered) error {
				if err := ended(tx, event.Target, event.CallID); err != nil {
					return err
				}
				return count(tx, e, event.Target, func(row *MailboxRow) { row.Answered++ })
			}),
			projections.On(func(tx projections.Tx, e domain.Envelope, event relay.CallExpired) error {
				if err := ended(tx, event.Target, event.CallID); err != nil {
					return err
				}
				return count(tx, e, event.Target, func(row *MailboxRow) { row.Expired++ })
			}),
		},
	}
}

func queued(tx projections.Tx, e domain.Envelope, event relay.CallQueued) error {
	target := event.Request.Target
	if err := ended(tx, target, event.CallID); err != nil {
		return err
	}
	if err := CallsTable.Put(tx, callKey(target, event.CallID), CallRow{
		CallID: event.CallID, Target: target, Hub: event.Hub, State: relay.Queued, Round: event.Round, Bytes: event.Request.Size(),
		Since: e.Time, Deadline: event.Deadline, Position: e.Position,
	}); err != nil {
		return err
	}
	if err := DeadlinesTable.Put(tx, deadlineKey(event.Deadline, event.CallID), DeadlineRow{event.CallID, event.Round, event.Deadline}); err != nil {
		return err
	}
	return count(tx, e, target, func(row *MailboxRow) { row.Queued++ })
}

// ended removes a call from the waiting ones, if it is one.
func ended(tx projections.Tx, target domain.NodeID, id relay.CallID) error {
	key := callKey(target, id)
	row, waits, err := CallsTable.Get(tx, key)
	if err != nil || !waits {
		return err
	}
	if err := DeadlinesTable.Delete(tx, deadlineKey(row.Deadline, id)); err != nil {
		return err
	}
	return CallsTable.Delete(tx, key)
}

func count(tx projections.Tx, e domain.Envelope, target domain.NodeID, change func(*MailboxRow)) error {
	return MailboxesTable.Update(tx, string(target), func(row *MailboxRow) {
		row.NodeID, row.Last, row.Position = target, e.Time, e.Position
		change(row)
	})
}

func callKey(target domain.NodeID, id relay.CallID) string {
	return projections.Pair(string(target), string(id))
}

func deadlineKey(at time.Time, id relay.CallID) string {
	return projections.Pair(projections.TimeKey(at), string(id))
}

// Waiting returns the calls that wait at a hub, in order of arrival.
func Waiting(v projections.View, hub domain.NodeID) ([]CallRow, error) {
	var rows []CallRow
	for entry, err := range CallsTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		if entry.Row.Hub == hub {
			rows = append(rows, entry.Row)
		}
	}
	sortByPosition(rows)
	return rows, nil
}
