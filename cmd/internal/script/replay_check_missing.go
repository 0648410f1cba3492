package script

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/projections/store"
)

// silent looks for a position at which the decision of a command without recorded events
// could have given none: right after its cause, or after a later event of its stream.
func (c *checker) silent(ctx context.Context, entry store.OutboxEntry, command domain.Command) error {
	target, ok := command.(commands.Targeted)
	if !ok {
		c.out.Unproven++
		return nil
	}
	cause, err := c.eventAt(ctx, entry.Position)
	if err != nil {
		return err
	}
	outcomes, _, decided := c.decide(ctx, entry, command, entry.Position, cause)
	if !decided {
		c.later = append(c.later, consulted{entry: kept(entry), command: command})
		return nil
	}
	if len(outcomes) == 0 {
		c.out.Nothing++
		return nil
	}
	moments := 0
	for e, err := range c.log.Read(ctx, target.Stream(), 0, eventlog.Forward) {
		if err != nil {
			return err
		}
		if e.Position > c.upTo {
			break
		}
		if e.Position <= entry.Position {
			continue
		}
		if moments++; moments > maxMoments {
			c.out.Unproven++
			return nil
		}
		if later, _, _ := c.decide(ctx, entry, command, e.Position, e); len(later) == 0 {
			c.out.Nothing++
			return nil
		}
	}
	return c.differ(ctx, Difference{
		Kind: MissingOutcome, Position: entry.Position, Event: cause.Type, Reactor: entry.Reactor, Command: entry.CommandType, ID: entry.CommandID,
		Given: slices.Clone(entry.Command), Recorded: []Outcome{}, Replayed: outcomes,
	})
}

// unexpected lists the recorded commands that no reactor gives on replay.
func (c *checker) unexpected(ctx context.Context) error {
	var ids []string
	for id, recorded := range c.recorded {
		if !recorded.seen {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(c.recorded[a].first, c.recorded[b].first) })
	for _, id := range ids {
		recorded := c.recorded[id]
		first, err := c.eventAt(ctx, recorded.first)
		if err != nil {
			return err
		}
		difference := Difference{Kind: UnexpectedCommand, Reactor: strings.TrimPrefix(first.Meta.Actor, reactorActor), ID: id, Position: recorded.first, Replayed: []Outcome{}}
		if len(c.out.Differences) < maxDifferences {
			if position, found, err := c.positionOf(ctx, recorded.cause, recorded.first); err != nil {
				return err
			} else if found {
				difference.Position = position
			}
			if difference.Recorded, _, err = c.outcomes(ctx, first.Stream, id, recorded); err != nil {
				return err
			}
		}
		if err := c.differ(ctx, difference); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) differ(ctx context.Context, difference Difference) error {
	c.out.Differing++
	if difference.Event == "" {
		cause, err := c.eventAt(ctx, difference.Position)
		if err != nil {
			return err
		}
		difference.Event = cause.Type
	}
	if len(c.out.Differences) < 2*maxDifferences {
		c.out.Differences = append(c.out.Differences, difference)
	}
	return nil
}
