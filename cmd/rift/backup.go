package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/backup"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
	edge "github.com/ringrift/rift/transport/backup"
)

// backedUp is the result of `rift backup`.
type backedUp struct {
	From       string          `json:"from"`
	To         string          `json:"to"`
	Log        domain.EventID  `json:"log"`
	Added      domain.Position `json:"added"`
	AddedBytes int64           `json:"added_bytes"`
	Events     domain.Position `json:"events"`
	Until      time.Time       `json:"until,omitzero"`
	Bytes      int64           `json:"bytes"` // of the files of events
	Limits     int             `json:"limits"`
	Digest     string          `json:"digest"`
	Seconds    float64         `json:"seconds"`
}

func newBackup(a *app) *cobra.Command {
	var from sourceFlags
	c := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Back up a log, whole or what is new since the last time",
		Long: `Copies the log of a running node (--addr), or of a data folder (--data), to a folder:
every event up to the end that the log has when the backup begins, with its position,
stream, revision, id, time and metadata, and the limits of streams. The node goes on
meanwhile. ` + "`rift restore`" + ` makes a data folder of it.

The same command later adds a file with what is new, and changes no other. FOLDER must
not be there yet, be empty, or have a backup of this log; a log that does not continue
it is refused. A backup that is interrupted leaves what FOLDER had before, and the same
command begins again. Read models are not copied, a node makes them from the log.

A member of a cluster has what it has applied so far; a backup of the leader has all that
is acknowledged. Votes and entries of Raft are never copied, so a restored log is that of
a node alone. A log on an EventStoreDB is not backed up so: use that database's own
backup, or ` + "`rift log copy`" + `.`,
		Example: `  rift backup /mnt/backup/rift
  rift backup /mnt/backup/rift --data data
  rift backup verify /mnt/backup/rift
  rift restore /mnt/backup/rift --data restored`,
		Args: exactly("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withSource(c, &from, nil, func(p *output.Printer, src *source) error {
				return a.backUp(c.Context(), p, src, args[0])
			})
		},
	}
	addClientFlags(c)
	from.add(c)
	c.AddCommand(newBackupVerify(a))
	return c
}

// backUp backs up the log of a data folder, or of a node.
func (a *app) backUp(ctx context.Context, p *output.Printer, src *source, to string) error {
	if isConnection(to) || isAddress(to) {
		return hinted(usagef("backup to %s: want a folder", to), "the node to back up is named by --addr, a data folder by --data")
	}
	var log backup.Source
	if src.log != nil {
		log = backup.Of(src.log)
		if node.IsMember(src.dir) {
			a.note("rift: %s is of a member of a cluster, and may lack what other members have; a backup of the leader (--addr) has all that is acknowledged", src.dir)
		}
	} else {
		log = nodeCopy{src.node}
	}
	shown := &steps{app: a}
	began := a.now()
	done, err := backup.Write(ctx, log, to, backup.Options{Now: a.now, WrittenBy: thisBuild().Version, Progress: shown.set})
	shown.done()
	if err != nil {
		return backupHint(ctx, err, to, src.dir)
	}
	told := backedUp{
		From: src.name, To: to, Log: done.Log, Added: done.Added, AddedBytes: done.AddedBytes, Events: done.Events, Until: done.Until,
		Bytes: done.Size(), Limits: len(done.Limits), Digest: done.Digest, Seconds: a.now().Sub(began).Seconds(),
	}
	return p.Fields(told,
		output.Field{Name: "backup", Value: to}, output.Field{Name: "from", Value: told.From}, output.Field{Name: "log", Value: told.Log},
		output.Field{Name: "added", Value: output.Plural(uint64(told.Added), "event") + ", " + output.Bytes(told.AddedBytes).String()},
		output.Field{Name: "has", Value: output.Plural(uint64(told.Events), "event") + ", " + output.Bytes(told.Bytes).String()},
		output.Field{Name: "until", Value: told.Until}, output.Field{Name: "digest", Value: told.Digest}, output.Field{Name: "took", Value: a.now().Sub(began)})
}

// backupHint adds to an error of a backup what to do about it.
func backupHint(ctx context.Context, err error, to, data string) error {
	switch {
	case ctx.Err() != nil:
		return hinted(err, "%s has what it had before; the same backup again begins where that ends", to)
	case domain.CodeOf(err) == domain.Conflict:
		return hinted(err, "name another folder")
	case domain.CodeOf(err) == domain.Corrupt && data != "":
		return hinted(err, "`rift log verify --data %s` tells whether the log is whole, `rift backup verify %s` whether the backup is; `rift log salvage` copies what is whole of a log", data, to)
	case domain.CodeOf(err) == domain.Corrupt:
		return hinted(err, "`rift backup verify %s` tells whether the backup is whole, `rift admin health` how the node is", to)
	}
	return err
}

// steps shows the progress of work that has several steps.
type steps struct {
	app  *app
	step string
	bar  *output.Progress
}

func (s *steps) set(step string, done, total domain.Position) {
	if step != s.step {
		s.done()
		s.step, s.bar = step, s.app.progress(step, "events", int64(total))
	}
	s.bar.Set(int64(done))
}

func (s *steps) done() { s.bar.Done() }

// nodeCopy is the log of a running node as a source of backups.
type nodeCopy struct{ client *client }

// A frame is asked for so often, with these pauses between, while the node says that it
// can answer later: it has the whole log to give, and others ask it too.
const (
	frameTries = 6
	framePause = 50 * time.Millisecond // doubled before each use
)

// Frontier implements backup.Source.
func (n nodeCopy) Frontier(ctx context.Context) (edge.Frontier, error) {
	return within(ctx, n.client, func(ctx context.Context) (edge.Frontier, error) {
		return transport.Ask[edge.Frontier](ctx, n.client.node, edge.FrontierRoute, projections.NoQuestion{})
	})
}

// Frame implements backup.Source.
func (n nodeCopy) Frame(ctx context.Context, from, to domain.Position) ([]byte, error) {
	for try := 1; ; try++ {
		answer, err := within(ctx, n.client, func(ctx context.Context) (edge.Frame, error) {
			return transport.Ask[edge.Frame](ctx, n.client.node, edge.FrameRoute, edge.Stretch{From: from, To: to})
		})
		if err == nil || try == frameTries || !domain.CodeOf(err).Retryable() {
			return answer.Frame, err
		}
		select {
		case <-time.After(framePause << try):
		case <-ctx.Done():
			return nil, err
		}
	}
}
