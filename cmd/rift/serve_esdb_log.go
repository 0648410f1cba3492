package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/node"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/esdb"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// servedLog is a log that a node can run on.
type servedLog interface {
	eventlog.Log
	eventlog.Curator
	io.Closer
}

// startPatience bounds how long a starting node waits for its EventStoreDB, and after
// startSilence it says that it does.
const (
	startPatience = 10 * time.Second
	startSilence  = 500 * time.Millisecond
)

// openServed opens the log of a node.
func openServed(ctx context.Context, settings config.Serve, options pebblelog.Options) (servedLog, error) {
	if settings.Log != "" {
		return openElsewhere(ctx, settings, options.Logger)
	}
	log, err := node.OpenLogWith(settings.Data, options)
	if err == nil {
		return log, nil
	}
	if _, found := os.Stat(filepath.Join(settings.Data, node.ElsewhereFile)); found == nil {
		err = hinted(err, "serve it with --log, or choose another folder with --data")
	}
	return nil, err
}

// answers returns an error unless the EventStoreDB of a log answers. If it does not do so
// at once, answers calls waits.
func answers(ctx context.Context, log *esdb.Log, where string, waits func()) error {
	within, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		_, err := log.Head(within)
		answered <- err
	}()
	silence := time.NewTimer(startSilence)
	defer silence.Stop()
	var err error
	select {
	case err = <-answered:
	case <-silence.C:
		waits()
		err = <-answered
	}
	if err != nil {
		want := "want an EventStoreDB that answers"
		if within.Err() != nil && ctx.Err() == nil {
			want += " within " + startPatience.String()
		}
		return hinted(domain.Errorf(domain.CodeOf(err), "%s: %s: %w", where, want, err),
			"is it running, and is this its address? does it want tls=false, or a login as in esdb://user:password@host?")
	}
	return nil
}

// openElsewhere opens a log on an EventStoreDB, which must answer, and records in the
// data folder that the log is there.
func openElsewhere(ctx context.Context, settings config.Serve, logger *slog.Logger) (_ *esdb.Log, err error) {
	where := config.Redact(settings.Log)
	entries, err := os.ReadDir(logFolder(settings.Data))
	switch {
	case err == nil && len(entries) > 0:
		return nil, hinted(domain.Errorf(domain.Conflict, "--log %s: want a data folder without a log of its own, found one in %s", where, logFolder(settings.Data)),
			"choose another folder with --data; `rift log copy %s %s` takes that log along", settings.Data, where)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, domain.Errorf(domain.Unavailable, "data folder %s: %w", settings.Data, err)
	}
	log, err := esdb.Open(settings.Log, esdb.Options{Logger: logger})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, log.Close())
		}
	}()
	if err := answers(ctx, log, "--log "+where, func() {
		logger.Warn("waiting for the EventStoreDB of --log", "at", where, "at_most", startPatience.String())
	}); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(settings.Data, 0o755); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "data folder %s: %w", settings.Data, err)
	}
	if err := os.WriteFile(filepath.Join(settings.Data, node.ElsewhereFile), []byte(where+"\n"), 0o644); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "data folder %s: %w", settings.Data, err)
	}
	return log, nil
}
