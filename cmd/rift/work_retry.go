package main

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"

	"github.com/spf13/cobra"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	workview "github.com/ringrift/rift/projections/work"
	"github.com/ringrift/rift/transport"
)

// newWorkRetry makes the command that retries items that ended without being done. An
// ended item stays ended; the command adds a similar one in its place.
func newWorkRetry(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "retry TASK-ID",
		Short: "Queue again what a dead or cancelled item was to do",
		Long: `An item that ended never comes back. retry adds one like it, with the same payload
and demands and all its attempts anew, which replaces it: whatever waits for the
item that ended goes on when the new one is done. The new item is named after the
old one; called again for the same item, retry adds nothing more.`,
		Example: "  rift work retry t-1",
		Args:    exactly("TASK-ID"),
		RunE: func(c *cobra.Command, words []string) error {
			p, asked, err := a.printerAndClient(c)
			if err != nil {
				return err
			}
			add, err := asked.again(c, domain.TaskID(words[0]))
			if err != nil {
				return err
			}
			body, err := json.Marshal(add)
			if err != nil {
				return domain.Errorf(domain.Internal, "item: %w", err)
			}
			answer, err := asked.do(c.Context(), "work.add", body, transport.ID("retry-"+words[0]))
			if err != nil {
				return err
			}
			return showStored(p, answer, endpoint{})
		},
	}
}

// again is a new item like one that ended without being done.
func (c *client) again(command *cobra.Command, id domain.TaskID) (workcmd.AddTask, error) {
	if err := domain.CheckName(string(id)); err != nil {
		return workcmd.AddTask{}, usagef("item %q: %w", id, err)
	}
	raw, err := c.ask(command.Context(), "work.item", url.Values{"id": {string(id)}})
	if err != nil {
		if domain.CodeOf(err) == domain.NotFound {
			err = hinted(err, noItem)
		}
		return workcmd.AddTask{}, err
	}
	found, err := decode[workview.TaskAnswer](raw)
	if err != nil {
		return workcmd.AddTask{}, err
	}
	row, err := decode[workview.TaskRow](found.Item)
	if err != nil {
		return workcmd.AddTask{}, err
	}
	if !row.State.Failed() {
		return workcmd.AddTask{}, domain.Errorf(domain.Conflict, "item %s: want one that ended without being done, it is %s", id, row.State)
	}
	which := selection{streams: []string{string(id.Stream())}, limit: 1}
	which.filter.Streams = which.streams
	for e, err := range c.events(command.Context(), which) {
		if err != nil {
			return workcmd.AddTask{}, err
		}
		spawned, err := decode[work.Spawned](e.Data)
		if err != nil || e.Type != spawned.EventType() {
			break
		}
		return workcmd.AddTask{
			TaskID: nextTry(id), TaskType: spawned.TaskType, ConfigKey: spawned.ConfigKey, Priority: &spawned.Priority, Payload: spawned.Payload,
			DependsOn: spawned.DependsOn, Requires: spawned.Requires, Where: spawned.Where, RequiresGPU: spawned.RequiresGPU,
			TimeoutSeconds: spawned.TimeoutSeconds, MaxAttempts: spawned.MaxAttempts, UniqueKey: spawned.UniqueKey, Replaces: id,
		}, nil
	}
	return workcmd.AddTask{}, domain.Errorf(domain.NotFound, "item %s: the log does not say how it was added", id)
}

var triedAgain = regexp.MustCompile(`^(.*)-retry-(\d{1,6})$`)

// nextTry is the id of the item that replaces another.
func nextTry(id domain.TaskID) domain.TaskID {
	base, n := string(id), 1
	if found := triedAgain.FindStringSubmatch(base); found != nil {
		before, _ := strconv.Atoi(found[2]) // six digits at most
		base, n = found[1], before+1
	}
	suffix := "-retry-" + strconv.Itoa(n)
	return domain.TaskID(base[:min(len(base), domain.MaxName-len(suffix))] + suffix)
}
