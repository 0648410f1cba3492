package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

// logger makes the log of a serving process. The caller flushes it at the end.
func (a *app) logger(settings config.Serve) (logger *slog.Logger, flush func(), err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings.LogLevel)); err != nil {
		return nil, nil, domain.Errorf(domain.Invalid, "log level %q: %w", settings.LogLevel, err)
	}
	lines := &lineWriter{out: a.stderr}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: errorText}
	var handler slog.Handler = slog.NewTextHandler(lines, options)
	if settings.LogFormat == "json" || settings.LogFormat == "auto" && !output.IsTerminal(a.stderr) {
		handler = slog.NewJSONHandler(lines, options)
	}
	return slog.New(urgent{handler, lines}), lines.flush, nil
}

// errorText writes an error as what it says. The text handler formats it with %+v, for which
// errors of pebble give a stack trace.
func errorText(_ []string, a slog.Attr) slog.Attr {
	if err, is := a.Value.Any().(error); is && a.Value.Kind() == slog.KindAny {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

// How long a line may wait for others to be written with it, and how many bytes may
// wait. A busy node logs thousands of lines a second; one system call for each costs as
// much as making the line.
const (
	lineWait  = 50 * time.Millisecond
	lineBytes = 64 << 10
)

// lineWriter buffers lines and writes several at once.
type lineWriter struct {
	out io.Writer

	mu      sync.Mutex
	waiting []byte
	timed   bool
}

func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, line...)
	switch {
	case len(w.waiting) >= lineBytes:
		w.write()
	case !w.timed:
		w.timed = true
		time.AfterFunc(lineWait, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.timed = false
			w.write()
		})
	}
	return len(line), nil
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write()
}

func (w *lineWriter) write() {
	if len(w.waiting) > 0 {
		_, _ = w.out.Write(w.waiting) // there is no place to report the error
		w.waiting = w.waiting[:0]
	}
}

// urgent writes warnings and errors at once, with the lines before them: the process
// may be about to end.
type urgent struct {
	slog.Handler
	lines *lineWriter
}

func (u urgent) Handle(ctx context.Context, r slog.Record) error {
	err := u.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		u.lines.flush()
	}
	return err
}

func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.lines}
}

func (u urgent) WithGroup(name string) slog.Handler {
	return urgent{u.Handler.WithGroup(name), u.lines}
}
