package bench

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// The queues a claim is measured in.
const (
	shortQueue = 100
	longQueue  = 100_000
)

// claimFigure holds the claims in a long queue against those in a short one.
func claimFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	long := longQueue
	if s.options.Quick {
		long = longQueue / 10
	}
	queues := map[string]*liveNode{}
	defer func() {
		for _, n := range queues {
			err = errors.Join(err, n.close())
		}
	}()
	var peers []peer
	for _, one := range []struct {
		name  string
		items int
	}{{"short", shortQueue}, {"long", long}} {
		s.say("  a queue of %d items", one.items)
		n, err := s.liveNode(ctx, one.items)
		if err != nil {
			return nil, err
		}
		queues[one.name] = n
		peers = append(peers, peer{one.name, func(context.Context, int) (float64, error) { return n.claims(s.cellTime()) }})
	}
	values, err := s.rounds(ctx, "flat.claim", peers...)
	if err != nil {
		return nil, err
	}
	return []Row{
		row("flat.claim", fmt.Sprintf("latency of a claim with %d queued items, median", long), "µs", values["long"], fmt.Sprintf("with %d queued items", shortQueue), values["short"], ratioAtMost(1.1)),
	}, nil
}

// claims takes items one after the other, adds one for each taken, so that the
// queue stays as long as it is, and gives the median of the claims' latencies
// in microseconds.
func (l *liveNode) claims(cell time.Duration) (float64, error) {
	var micros []float64
	for started := time.Now(); time.Since(started) < cell || len(micros) < 20; {
		asked := time.Now()
		result, err := l.do(workcmd.ClaimTasks{NodeID: "gpu-1", Limit: 1})
		took := time.Since(asked)
		if err != nil {
			return 0, err
		}
		if claimed, ok := result.Answer.(workcmd.TasksClaimed); !ok || len(claimed.Items) != 1 {
			return 0, domain.Errorf(domain.Internal, "bench: want one item claimed, found %+v", result.Answer)
		}
		micros = append(micros, float64(took)/float64(time.Microsecond))
		if result, err = l.do(workcmd.AddTask{TaskType: "selfplay", ConfigKey: "hex8_2p"}); err != nil {
			return 0, err
		}
		if err := l.caughtUp(result.Position); err != nil {
			return 0, err
		}
	}
	slices.Sort(micros)
	return middle(micros), nil
}

// The logs that an append is measured behind.
const (
	shortLog = 10_000
	longLog  = 10_000_000
)

// longFigure holds appends to a long log against those to a short one.
func longFigure(ctx context.Context, s *suite) (rows []Row, err error) {
	long := longLog
	if s.options.Quick {
		long = longLog / 10
	}
	logs := map[string]*pebblelog.Log{}
	defer func() {
		for _, log := range logs {
			err = errors.Join(err, log.Close())
		}
	}()
	var peers []peer
	for _, one := range []struct {
		name   string
		events int
	}{{"short", shortLog}, {"long", long}} {
		s.say("  a log of %d events", one.events)
		dir := filepath.Join(s.dir, one.name)
		if err := fill(ctx, dir, s.telling(one.events, bulk(one.events))); err != nil {
			return nil, err
		}
		if err := settle(ctx, dir); err != nil {
			return nil, err
		}
		log, err := pebblelog.Open(dir, pebblelog.Options{})
		if err != nil {
			return nil, err
		}
		logs[one.name] = log
		writer := 0
		peers = append(peers, peer{one.name, func(ctx context.Context, _ int) (float64, error) {
			writer++
			return s.appendLatency(ctx, log, writer)
		}})
	}
	values, err := s.rounds(ctx, "flat.append", peers...)
	if err != nil {
		return nil, err
	}
	return []Row{
		row("flat.append", fmt.Sprintf("latency of a durable append of 1 KiB after %d events, median", long), "µs", values["long"], fmt.Sprintf("after %d events", shortLog), values["short"], ratioAtMost(1.3)),
	}, nil
}

// appendLatency is the median latency of one writer, in microseconds. Every
// tenth append begins a stream, which makes the log look for its head.
func (s *suite) appendLatency(ctx context.Context, log *pebblelog.Log, writer int) (float64, error) {
	const streamLength = 10
	payload := text(1024)
	var micros []float64
	for n, started := 0, time.Now(); time.Since(started) < s.cellTime(); n++ {
		at := writer<<24 + n/streamLength
		event := appended(at, n%streamLength, payload)
		asked := time.Now()
		if _, err := log.Append(ctx, own(at), expecting(n%streamLength), event); err != nil {
			return 0, err
		}
		micros = append(micros, float64(time.Since(asked))/float64(time.Microsecond))
	}
	slices.Sort(micros)
	return middle(micros), nil
}

// bulkStream is how many events a stream of bulk has.
const bulkStream = 50

// bulk makes many events quickly: mixed ones, dealt to made-up streams under
// ids of their own.
func bulk(n int) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		var some []domain.Envelope
		for e, err := range Mixed(min(n, fillWindow), mixedSeed) {
			if err != nil {
				yield(e, err)
				return
			}
			some = append(some, e)
		}
		for i := range n {
			e := some[i%len(some)]
			e.Stream = domain.Stream("bulk", fmt.Sprintf("%09d", i/bulkStream))
			e.ID = appended(1<<20, i, nil).ID
			if !yield(e, nil) {
				return
			}
		}
	}
}
