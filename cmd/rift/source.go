package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/esdb"
	"github.com/ringrift/rift/eventlog/jsonl"
	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/transport"
)

// source is a log to read: a data folder, recorded files, a node, or an EventStoreDB.
type source struct {
	name   string
	events func(ctx context.Context, s selection) iter.Seq2[domain.Envelope, error]
	head   func(ctx context.Context) (domain.Position, error)
	// follow yields the events after a position until ctx ends; nil if no new ones
	// can come.
	follow func(ctx context.Context, after domain.Position, s selection) iter.Seq2[domain.Envelope, error]
	// find returns an event by its id; nil if that would mean reading the whole
	// log.
	find  func(ctx context.Context, stream domain.StreamID, id domain.EventID) (domain.Envelope, bool, error)
	live  bool           // a node serves it, so new events may come
	node  *client        // client of that node, if the log is read from it
	log   *pebblelog.Log // of a data folder
	dir   string         // of a data folder
	files []string       // of recorded files
	close func() error
}

// sourceFlags are the flags that name the log to read.
type sourceFlags struct{ data string }

func (f *sourceFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.data, "data", "", "data folder to read, instead of asking a node")
	// It fails only for an undefined flag.
	_ = c.MarkFlagDirname("data")
}

// open opens the log: the one that the arguments name (see inputs), the one of --data,
// or that of the node at --addr.
func (f *sourceFlags) open(a *app, c *cobra.Command, paths []string) (*source, error) {
	if a.served != nil {
		return a.served, nil
	}
	if f.data != "" && len(paths) > 0 {
		return nil, usagef("%s: want --data or files, found both", c.CommandPath())
	}
	if len(paths) == 1 && isAddress(paths[0]) {
		if err := c.Flags().Set("addr", paths[0]); err != nil {
			return nil, usagef("%s: %w", c.CommandPath(), err)
		}
		paths = nil
	}
	if len(paths) == 1 && isConnection(paths[0]) {
		return a.connectionSource(c.Context(), paths[0])
	}
	if len(paths) == 1 && isDataFolder(paths[0]) {
		f.data, paths = paths[0], nil
	}
	switch {
	case len(paths) > 0:
		local, done, err := a.inputs(c, paths)
		if err != nil {
			return nil, err
		}
		opened, err := a.fileSource(c, local)
		if err != nil {
			return nil, errors.Join(err, done())
		}
		closeFiles := opened.close
		opened.close = func() error { return errors.Join(closeFiles(), done()) }
		return opened, nil
	case f.data != "":
		opened, err := folderSource(f.data)
		if err != nil && domain.CodeOf(err) == domain.Unavailable {
			return a.servedFolder(c, f.data, err)
		}
		return opened, err
	}
	return a.nodeSource(c)
}

// servedFolder opens the log of a data folder that a node has open, by calling that
// node: the one at the recorded address, or one that was named. The node must prove
// that it serves this folder, for the address may belong to another node by now, or to
// the node whose folder this one is a copy of.
func (a *app) servedFolder(c *cobra.Command, dir string, held error) (*source, error) {
	settings, err := config.LoadClient(c.Flags(), a.getenv)
	if err != nil {
		return nil, err
	}
	instance, err := instanceOf(dir)
	if err != nil {
		return nil, hinted(held, "%v\n  %s", err, askInstead)
	}
	var addresses []string
	if recorded := recordedAddress(dir); recorded != "" {
		addresses = append(addresses, recorded)
	}
	if c.Flags().Changed("addr") || a.getenv("RIFT_ADDR") != "" {
		addresses = append(addresses, settings.Addresses()...)
	}
	var found []string
	for _, address := range addresses {
		served, err := a.instanceAt(c.Context(), address, settings.Timeout)
		switch {
		case err != nil:
			found = append(found, fmt.Sprintf("nothing that is rift answers at %s", address))
		case served != instance:
			found = append(found, fmt.Sprintf("the node at %s serves another folder", address))
		default:
			settings.Addr = address
			asked, err := a.newClient(settings)
			if err != nil {
				return nil, err
			}
			return asked.source(), nil
		}
	}
	found = append(found, askInstead)
	return nil, hinted(held, "%s", strings.Join(found, "\n  "))
}

const askInstead = "is a node serving it? ask that node with --addr instead of --data, or stop it first"

// instanceAt asks a node for the proof of the folder that it serves.
func (a *app) instanceAt(ctx context.Context, address string, patience time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, min(patience, instancePatience))
	defer cancel()
	return transport.InstanceOf(ctx, address)
}

// instancePatience bounds that request: a node that serves the folder is on this
// machine.
const instancePatience = 5 * time.Second

// isConnection reports whether text is a connection string of EventStoreDB.
func isConnection(text string) bool {
	scheme, _, found := strings.Cut(text, "://")
	return found && (scheme == "esdb" || scheme == "esdb+discover")
}

// connectionSource opens the log of an EventStoreDB, which must answer.
func (a *app) connectionSource(ctx context.Context, connection string) (*source, error) {
	log, err := esdb.Open(connection, esdb.Options{})
	if err != nil {
		return nil, err
	}
	name := config.Redact(connection)
	if err := answers(ctx, log, name, func() { a.note("waiting at most %v for %s to answer", startPatience, name) }); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &source{name: name, events: logEvents(log), head: log.Head, find: log.Find, close: log.Close}, nil
}

func folderSource(dir string) (*source, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil, hinted(domain.Errorf(domain.NotFound, "data folder %s: want a folder, found none", dir), "`rift serve --data %s` or `rift log import --data %s …` makes one", dir, dir)
		}
		return nil, domain.Errorf(domain.Unavailable, "data folder %s: %w", dir, err)
	}
	log, closeLog, err := openLog(dir, true)
	if err != nil {
		return nil, err
	}
	return &source{name: dir, events: logEvents(log), head: log.Head, find: log.Find, log: log, dir: dir, close: closeLog}, nil
}

// logEvents reads a selection of a log.
func logEvents(log eventlog.Log) func(ctx context.Context, s selection) iter.Seq2[domain.Envelope, error] {
	return func(ctx context.Context, s selection) iter.Seq2[domain.Envelope, error] {
		from, direction := max(s.from, 1), eventlog.Forward
		if s.reverse {
			from, direction = eventlog.End, eventlog.Backward
			if s.to != 0 {
				from = s.to
			}
		}
		return s.sift(log.ReadAll(ctx, from, direction, s.filter))
	}
}

// maxHeld bounds the events held in memory to read recorded files backwards.
const maxHeld = 1 << 20

// fileSource reads recorded files. Events as lines of one log are read directly;
// anything else is imported into a temporary log first.
func (a *app) fileSource(c *cobra.Command, paths []string) (*source, error) {
	if err := readableFiles(paths); err != nil {
		return nil, err
	}
	found, err := recorded.Detect(paths, "", false)
	if err != nil {
		return nil, notRecorded(err)
	}
	name := strings.Join(paths, ", ")
	if files, lines := found.InOneLog(); lines {
		return lineSource(name, files), nil
	}
	folder, err := os.MkdirTemp("", "rift-read-")
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "folder to read %s in: %w", name, err)
	}
	log, err := a.logToReplay(c, folder, paths, replayFlags{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return &source{
		name: name, events: logEvents(log), head: log.Head,
		close: func() error { return errors.Join(log.Close(), os.RemoveAll(folder)) },
	}, nil
}

// lineSource reads events as lines, one file after the other.
func lineSource(name string, files []string) *source {
	return &source{
		name:  name,
		files: files,
		events: func(_ context.Context, s selection) iter.Seq2[domain.Envelope, error] {
			forward := s
			forward.reverse, forward.limit = false, 0
			if !s.reverse {
				forward.limit = s.limit
			}
			events := forward.sift(jsonl.ReadFiles(files, jsonl.ReadOptions{}))
			if s.reverse {
				return backwards(events, s.limit)
			}
			return events
		},
		head: func(context.Context) (domain.Position, error) {
			var head domain.Position
			for e, err := range jsonl.ReadFiles(files, jsonl.ReadOptions{}) {
				if err != nil {
					return head, err
				}
				head = max(head, e.Position)
			}
			return head, nil
		},
		close: func() error { return nil },
	}
}

// backwards reverses events. With a limit it holds only that many in memory.
func backwards(events iter.Seq2[domain.Envelope, error], limit int) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		var held []domain.Envelope
		next := 0
		for e, err := range events {
			if err != nil {
				yield(e, err)
				return
			}
			switch {
			case limit == 0 || len(held) < limit:
				if len(held) == maxHeld {
					yield(e, hinted(domain.Errorf(domain.TooLarge, "--reverse of files: want at most %d events", maxHeld), "choose fewer with --limit, --from or --type, or import the files first"))
					return
				}
				held = append(held, e)
			default:
				held[next] = e
				next = (next + 1) % limit
			}
		}
		for i := range held {
			if !yield(held[(next+len(held)-1-i)%len(held)], nil) {
				return
			}
		}
	}
}

// pageOfEvents is how many events are requested from a node at once.
const pageOfEvents = 1000

func (a *app) nodeSource(c *cobra.Command) (*source, error) {
	asked, err := a.client(c)
	if err != nil {
		return nil, err
	}
	return asked.source(), nil
}

func (c *client) source() *source {
	return &source{name: c.settings.Addr, events: c.events, head: c.head, follow: c.follow, live: true, node: c, close: func() error { return nil }}
}

// eventsPage is a page of the log.
type eventsPage struct {
	Position domain.Position         `json:"position"`
	Events   []transport.EventRecord `json:"events"`
	transport.EventsAnswer
}

// events reads the log of a node page by page.
func (c *client) events(ctx context.Context, s selection) iter.Seq2[domain.Envelope, error] {
	told := s.keep
	s.keep = nil // the node evaluates the expression
	return s.sift(func(yield func(domain.Envelope, error) bool) {
		q := transport.EventsQuery{From: s.from, To: s.to, Limit: pageOfEvents, Selection: s.asked()}
		if s.reverse {
			q.Order, q.From = "desc", s.to
		}
		if s.limit > 0 && s.since.IsZero() && s.until.IsZero() {
			q.Limit = min(q.Limit, s.limit)
		}
		for {
			page, err := within(ctx, c, func(ctx context.Context) (eventsPage, error) {
				return transport.Ask[eventsPage](ctx, c.node, "events.read", q)
			})
			if err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			told.missed(page.WhereErrors, page.WhereError)
			for _, record := range page.Events {
				if !yield(record.Envelope(), nil) {
					return
				}
			}
			last := page.Position
			if s.to != 0 {
				last = min(last, s.to)
			}
			if s.reverse && (page.Next == 0 || page.Next < s.from) || !s.reverse && (page.Next == q.From || page.Next > last) {
				return
			}
			q.From = page.Next
		}
	})
}

// follow yields the events that a node appends after a position, and reconnects as
// often as necessary.
func (c *client) follow(ctx context.Context, after domain.Position, s selection) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for told, err := range c.node.Follow(ctx, after, s.asked()) {
			if !yield(told.Record.Envelope(), c.explain(err)) {
				return
			}
		}
	}
}

// head is the position of the newest event; 0 in an empty log.
func (c *client) head(ctx context.Context) (domain.Position, error) {
	for e, err := range c.events(ctx, selection{reverse: true, limit: 1}) {
		return e.Position, err
	}
	return 0, nil
}
