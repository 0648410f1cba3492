// Package admin registers the administration of a node and its cluster: pauses,
// dead letters, handlers, rebuilds, health, status and shutdown. It decides
// nothing; it asks the Backend for what only the process knows.
//
// Read domain/admin for the events, status.go for what counts as trouble.
package admin

import (
	"context"

	"github.com/ringrift/rift/commands"
	admincmd "github.com/ringrift/rift/commands/admin"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/projections"
	adminview "github.com/ringrift/rift/projections/admin"
	"github.com/ringrift/rift/transport"
)

// Area returns what this area adds to a process.
func Area() transport.Area {
	inAdmin, byAdmin := transport.In("admin"), transport.By(transport.RoleAdmin)
	return transport.Area{
		Name:        "admin",
		Events:      admin.Events(),
		Sections:    domain.Sections{admin.DefaultPolicy()},
		Projections: []projections.Projection{adminview.Projection(), adminview.HandlersProjection()},
		Reactors:    admincmd.Reactors(),
		Clocks:      []commands.Clock{admincmd.Clock},
		Specs:       admincmd.Specs(),
		Routes: []transport.Route{
			transport.Post[admincmd.RequestShutdown]("/admin/shutdown", transport.Then(stopNode), transport.OwnNode(stopFollower), byAdmin),
			transport.Post[admincmd.PauseKind]("/admin/pause", byAdmin),
			transport.Post[admincmd.ResumeKind]("/admin/resume", byAdmin),
			transport.Get("/admin/pauses", "admin.pauses", adminview.Pauses, byAdmin, transport.About("the kinds of work that are held back, why, by whom and until when")),
			transport.Tell("/status", "admin.status", tellStatus, inAdmin, transport.About("one page of what the node and the cluster do: work and nodes by state, pauses, back-pressure, leader, position, uptime")),
			transport.Tell("/admin/health", "admin.health", func(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (transport.Health, domain.Position, error) {
				health, err := b.Health(ctx)
				return health, health.Position, err
			}, byAdmin, transport.About("how the parts of the node are, each ok, degraded or failed, with the reason")),
			transport.Tell("/dead-letters", "admin.dead_letters", func(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (transport.DeadLetters, domain.Position, error) {
				letters, err := b.DeadLetters(ctx)
				return letters, letters.Position, err
			}, inAdmin, transport.About("the events that a handler could not take")),
			transport.Tell("/dead-letters/{id}", "admin.dead_letter", func(ctx context.Context, b transport.Backend, q oneLetter) (transport.LetterAnswer, domain.Position, error) {
				letter, err := b.DeadLetter(ctx, q.ID)
				return letter, letter.Position, err
			}, inAdmin, transport.About("one dead letter, with the event it is about")),
			transport.Get("/dead-letters/history", "admin.letter_acts", adminview.LetterActs, inAdmin, transport.About("what was done about dead letters, newest first")),
			transport.Post[admincmd.RetryLetter]("/dead-letters/{id}/retry", inAdmin, byAdmin, transport.Then(func(ctx context.Context, b transport.Backend, c admincmd.RetryLetter, result commands.Result) error {
				return b.LetterDealtWith(ctx, c.ID, result.Position)
			})),
			transport.Post[admincmd.DiscardLetter]("/dead-letters/{id}/discard", inAdmin, byAdmin, transport.Then(func(ctx context.Context, b transport.Backend, c admincmd.DiscardLetter, result commands.Result) error {
				return b.LetterDealtWith(ctx, c.ID, result.Position)
			})),
			transport.Tell("/projections", "admin.projections", func(ctx context.Context, b transport.Backend, _ projections.NoQuestion) (transport.Projections, domain.Position, error) {
				models, err := b.Projections(ctx)
				return models, models.Position, err
			}, inAdmin, transport.About("the read models: version, position, lag, and how far one is that is being built")),
			transport.Post[admincmd.RebuildProjection]("/projections/{name}/rebuild", inAdmin, byAdmin, transport.Then(beginRebuild)),
			transport.Tell("/handlers", "admin.handlers", tellHandlers, inAdmin, transport.About("the handlers of events and the reactors: what each reads, writes and commands; runs, failures, lag, last run")),
			transport.Get("/handlers/failures", "handlers.failures", adminview.FailedHandlers, inAdmin, transport.About("the failures of handlers, as nodes and tools noted them on the log")),
		},
	}
}
