package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// queueSettings are the settings of the table of the queue.
type queueSettings struct {
	settings
	queue   int
	payload int
}

func parseQueue(args []string, stderr io.Writer) (queueSettings, error) {
	var s queueSettings
	flags := s.flags("queue", 5, stderr)
	flags.IntVar(&s.queue, "queue", 1000, "jobs that wait in both queues from the start, and stay as many")
	flags.IntVar(&s.payload, "payload", 256, "bytes of the payload of a job")
	if err := s.parse(flags, args); err != nil {
		return s, err
	}
	if s.queue < 0 || s.payload < len(`{"text":""}`) {
		return s, errors.New("want a queue of at least 0 and a payload of at least 11 bytes")
	}
	return s, nil
}

// runQueue compares the queue of rift with PostgreSQL.
func runQueue(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseQueue(args, stderr)
	if err != nil {
		return err
	}
	programs, err := findPostgres()
	if errors.Is(err, errNoPostgres) {
		fmt.Fprintf(stderr, "benchpeers: skipped: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	return inTempDir(s.dir, func(dir string) (err error) {
		started := time.Now()
		peer, err := startPostgres(ctx, programs, dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, peer.stop()) }()
		node, err := startRift(ctx, s.rift, dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, node.stop()) }()

		b := &bench{queueSettings: s, rift: node, peer: peer, say: sayTo(stderr)}
		if err := b.fill(ctx); err != nil {
			return err
		}
		cells, err := b.rounds(ctx)
		if err != nil {
			return err
		}
		r := newQueueReport(s, cells)
		r.Rift, r.Peer, r.Notes, r.Seconds = node.version, peer.version, node.notes(), time.Since(started).Seconds()
		if s.output == "json" {
			return printJSON(stdout, r)
		}
		return r.table(stdout)
	})
}
