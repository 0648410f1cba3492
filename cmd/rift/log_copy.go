package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/esdb"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// copied is the result of `rift log copy`.
type copied struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	Copied  int64   `json:"copied"`
	Already int64   `json:"already"`  // events that the target had before
	LeftOut int64   `json:"left_out"` // events that belong to EventStoreDB itself
	Digest  string  `json:"digest"`   // of all events copied, equal at both ends
	Seconds float64 `json:"seconds"`
}

func newLogCopy(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy a log to another place, an EventStoreDB say",
		Long: `Copies every event of the log FROM to the log TO, in order, each with its identity,
stream and revision. FROM is a data folder, recorded events as lines, the address of
a node (http://…), or an EventStoreDB (esdb://…). TO is a data folder, a file that is
not there yet (NAME.jsonl, .jsonl.zst, .jsonl.gz), or an EventStoreDB.

What TO has of FROM already is not copied again: a copy that was interrupted goes on
where it ended, and the same copy later takes over what came since. A file appears
only when it is whole. A stream of which TO has another event is an error. At the end
both logs are read, and every event is compared.

Positions in an EventStoreDB are its own; the order is the same. What belongs to that
database (streams and types that begin with $) is left out on the way in or out, and
limits of streams stay behind.`,
		Example: `  rift log copy data 'esdb://127.0.0.1:2113?tls=false'
  rift log copy 'esdb+discover://admin:changeit@db.example:2113?tlsCAFile=ca.crt' debug
  rift log copy http://gpu-7:8770 copy.jsonl.zst`,
		Args: exactly("FROM", "TO"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			p, err := a.printer()
			if err != nil {
				return err
			}
			from, err := a.copyFrom(c, args[0])
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, from.close()) }()
			job := &copyJob{
				from: from, to: args[1], foreign: isConnection(args[0]) || isConnection(args[1]),
				done: copied{From: config.Redact(args[0]), To: config.Redact(args[1])},
			}
			unit := "events"
			if isConnection(args[0]) {
				unit = "positions"
			}
			if job.head, err = from.head(c.Context()); err != nil {
				return err
			}
			job.progress = a.progress("copying", unit, int64(job.head))
			err = a.runCopy(c.Context(), job)
			_, took := job.progress.Done()
			if err != nil {
				if c.Context().Err() != nil {
					return hinted(err, "the same copy again goes on where this one ended")
				}
				return err
			}
			done := job.done
			done.Seconds = took.Seconds()
			return p.Fields(done,
				output.Field{Name: "from", Value: done.From}, output.Field{Name: "to", Value: done.To},
				output.Field{Name: "copied", Value: done.Copied}, output.Field{Name: "there before", Value: done.Already},
				output.Field{Name: "left out", Value: done.LeftOut}, output.Field{Name: "digest", Value: done.Digest}, output.Field{Name: "took", Value: took})
		},
	}
}

// copyFrom opens the source of a copy.
func (a *app) copyFrom(c *cobra.Command, from string) (*source, error) {
	if isConnection(from) {
		return a.connectionSource(c.Context(), from)
	}
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		settings, err := config.LoadClient(c.Flags(), a.getenv)
		if err != nil {
			return nil, err
		}
		settings.Addr = strings.TrimRight(from, "/")
		asked, err := a.newClient(settings)
		if err != nil {
			return nil, err
		}
		return asked.source(), nil
	}
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil, hinted(domain.Errorf(domain.NotFound, "copy from %s: want a data folder, a file, http:// or esdb://, found nothing there", config.Redact(from)), "is the name spelled so?")
	}
	return (&sourceFlags{}).open(a, c, []string{from})
}

// runCopy opens the target and copies.
func (a *app) runCopy(ctx context.Context, job *copyJob) (err error) {
	to := job.to
	switch {
	case isConnection(to):
		log, err := esdb.Open(to, esdb.Options{})
		if err != nil {
			return err
		}
		return errors.Join(job.toLog(ctx, log), log.Close())
	case strings.Contains(to, "://"):
		return hinted(domain.Errorf(domain.Invalid, "copy to %s: want a data folder, a file or esdb://", config.Redact(to)),
			"a node takes a log as esdb:// when it was started with --insecure-esdb")
	case isLines(to):
		return job.toFile(ctx, to)
	}
	if info, err := os.Stat(to); err == nil && !info.IsDir() {
		return hinted(domain.Errorf(domain.Conflict, "copy to %s: want a folder, found a file", to), "a file of lines ends in .jsonl, .jsonl.zst or .jsonl.gz")
	}
	log, closeLog, err := openLog(to, false)
	if err != nil {
		if domain.CodeOf(err) == domain.Unavailable {
			return hinted(err, "is a node serving it? stop that node first: rift admin shutdown")
		}
		return err
	}
	return errors.Join(job.toLog(ctx, log), closeLog())
}

func isLines(path string) bool {
	name := strings.TrimSuffix(strings.TrimSuffix(path, ".zst"), ".gz")
	return strings.HasSuffix(name, ".jsonl")
}

// toFile writes a file, and reads it again to compare.
func (j *copyJob) toFile(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err == nil {
		return hinted(domain.Errorf(domain.Conflict, "copy to %s: want a file that is not there yet", path), "choose another name, or remove it")
	}
	_, err := exportTo(path, nil, func(w io.Writer) (int64, error) {
		out := jsonl.NewWriter(w)
		for e, err := range j.events(ctx, 0) {
			if err == nil {
				err = out.Write(e)
			}
			if err != nil {
				return out.Count(), err
			}
			j.done.Copied++
		}
		return out.Count(), out.Flush()
	})
	if err != nil {
		return err
	}
	return j.compare(ctx, jsonl.ReadFiles([]string{path}, jsonl.ReadOptions{}))
}

// toLog appends to a log after the events that it has.
func (j *copyJob) toLog(ctx context.Context, to eventlog.Log) error {
	after, err := j.resume(ctx, to)
	if err != nil {
		return err
	}
	if err := j.appendTo(ctx, to, after); err != nil {
		return err
	}
	return j.compare(ctx, to.ReadAll(ctx, 0, eventlog.Forward, eventlog.Filter{}))
}
