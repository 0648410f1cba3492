package relay

import (
	"context"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/projections"
	relayview "github.com/ringrift/rift/projections/relay"
	"github.com/ringrift/rift/transport"
	wire "github.com/ringrift/rift/transport/relay"
)

// Status returns the state of every mailbox, with what the log says of its calls.
func (h *Hub) Status(ctx context.Context) (wire.Status, domain.Position, error) {
	h.sweep()
	rows := map[domain.NodeID]wire.Mailbox{}
	var position domain.Position
	if err := h.config.Backend.View(ctx, transport.At{}, 0, func(v projections.View) error {
		position = v.Position()
		known, err := relayview.Mailboxes(v)
		for _, row := range known {
			rows[row.NodeID] = wire.Mailbox{NodeID: row.NodeID, Kept: row.Queued, Answered: row.Answered, Expired: row.Expired}
		}
		return err
	}); err != nil {
		return wire.Status{}, 0, err
	}
	now := h.config.Now()
	h.mu.Lock()
	for node, box := range h.boxes {
		row := rows[node]
		row.NodeID, row.Open, row.Polls, row.Bytes, row.Refused = node, box.open(now), len(box.polls), box.bytes, box.refused
		if row.Open {
			until := domain.Instant(box.until)
			row.ExpiresAt = &until
		}
		for _, one := range box.calls {
			switch {
			case one.state == relay.Delivered || one.state == relay.Answered:
				row.Delivered++
			case one.state == relay.Queued && !one.ready():
				row.Held++
				row.Queued++
			default:
				row.Queued++
			}
			if age := domain.Seconds(max(now.Sub(one.since), 0).Seconds()); row.Oldest == nil || age > *row.Oldest {
				row.Oldest = &age
			}
		}
		rows[node] = row
	}
	h.mu.Unlock()
	status := wire.Status{Hub: h.config.Node, Mailboxes: []wire.Mailbox{}, Counts: h.Counts(), Limits: h.config.Limits}
	for _, row := range rows {
		status.Mailboxes = append(status.Mailboxes, row)
	}
	slices.SortFunc(status.Mailboxes, func(a, b wire.Mailbox) int { return strings.Compare(string(a.NodeID), string(b.NodeID)) })
	return status, position, nil
}

// Counts returns how much the hub holds.
func (h *Hub) Counts() wire.Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return wire.Counts{
		Mailboxes: len(h.boxes), Polls: h.polls, Calls: h.calls, Bytes: h.bytes,
		Forwarded: h.forwarded.Load(), Refused: h.refused.Load(),
	}
}
