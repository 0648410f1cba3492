package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// rebuildLook is the interval at which a rebuild is polled until it is over.
const rebuildLook = 200 * time.Millisecond

// newProjections makes the commands that list the read models and rebuild one of them.
func newProjections(a *app, list endpoint) *cobra.Command {
	c := newEndpoint(a, list)
	list.name = "list"
	c.AddCommand(newEndpoint(a, list), newRebuild(a))
	return c
}

func newRebuild(a *app) *cobra.Command {
	c := newEndpoint(a, endpoint{
		name: "rebuild", short: "Build a read model again from the log", route: "admin.rebuild_projection", args: []string{"name"}, needs: 1,
		long: `The one that serves goes on answering. When the new one is as far, it takes its
place. Asked for while it runs, nothing new is begun. A crash in the middle goes
on where it was. The command waits for it, and shows how far it is; interrupting
it stops the waiting, not the rebuild.`,
		example: "  rift admin projections rebuild work --reason 'rows look wrong'\n  rift admin projections rebuild elo --node-id gpu-7 --detach",
		help:    map[string]string{"name": "the read model", "node_id": "the only node that is to build (default: every node)", "reason": "why, for the log"},
		missing: "`rift admin projections` lists the read models", show: showStored,
	})
	detach := c.Flags().Bool("detach", false, "do not wait until it is built")
	tell := c.RunE
	c.RunE = func(c *cobra.Command, words []string) error {
		dry, err := c.Flags().GetBool("dry-run")
		if err != nil {
			return err
		}
		if *detach || dry || len(words) == 0 || c.Flags().Changed("node-id") {
			return tell(c, words)
		}
		client, err := a.client(c)
		if err != nil {
			return err
		}
		before, err := client.readModel(c.Context(), words[0])
		if err != nil {
			return err
		}
		if err := tell(c, words); err != nil {
			return err
		}
		return a.awaitRebuild(c.Context(), client, before, words[0])
	}
	return c
}

// readModel asks the node for the state of one read model. The row of an unknown one is
// empty.
func (c *client) readModel(ctx context.Context, name string) (transport.ProjectionRow, error) {
	answer, err := c.ask(ctx, "admin.projections", nil)
	if err != nil {
		return transport.ProjectionRow{}, err
	}
	models, err := decode[transport.Projections](answer)
	if err != nil {
		return transport.ProjectionRow{}, err
	}
	at := slices.IndexFunc(models.Projections, func(row transport.ProjectionRow) bool { return row.Name == name })
	if at < 0 {
		return transport.ProjectionRow{}, nil
	}
	return models.Projections[at], nil
}

// awaitRebuild shows the progress of a rebuild until the rebuilt rows are the ones that
// serve queries.
func (a *app) awaitRebuild(ctx context.Context, client *client, before transport.ProjectionRow, name string) error {
	progress := a.progress("building "+name, "events", 0)
	defer progress.Done()
	ticker := time.NewTicker(rebuildLook)
	defer ticker.Stop()
	for {
		row, err := client.readModel(ctx, name)
		if err != nil {
			return err
		}
		if row.Rebuild == nil && (row.Version != before.Version || row.Generation != before.Generation) {
			progress.Done()
			a.note("%s was built again: version %d, generation %d, at position %d", name, row.Version, row.Generation, row.Position)
			return nil
		}
		if row.Rebuild != nil {
			progress.Total(int64(row.Rebuild.Target))
			progress.Set(int64(row.Rebuild.Position))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return domain.Errorf(domain.Timeout, "waiting for read model %s: it goes on being built; `rift admin projections` tells how far it is: %w", name, ctx.Err())
		}
	}
}
