//go:build unix

package worker

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/ringrift/rift/commands"
	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// The most that one call reports: items, and bytes of what they say. A node takes
// bodies of 1 MiB.
const (
	maxBatch      = 500
	maxBatchBytes = 512 << 10
)

// outgoing is one report on its way to a node.
type outgoing[C commands.Targeted] struct {
	report C
	key    string // of the report when it goes alone
	bytes  int    // of its result, error or progress
	answer func(workcmd.BeatenTask, error)
}

// batcher sends the reports of one kind. A report goes at once when none of its
// kind is under way; those that come meanwhile go together in the next call. A
// report alone goes as the single command.
//
// A batch stays what it is until a node has answered it: its key is that of
// these reports together, so that a repetition finds what was stored.
type batcher[C commands.Targeted] struct {
	*worker
	whole func([]C) domain.Command
	// call runs a command. It calls next when it fails and goes on trying, so that
	// one batch does not hold up those after it.
	call func(ctx context.Context, command domain.Command, key string, read reading, next func()) error
	// lacks tells what is missing from the answer to a report; empty for nothing.
	lacks func(workcmd.BeatenTask) string

	mu      sync.Mutex
	waiting []outgoing[C]
	sending bool
}

// add sends reports. Each answer comes on a goroutine of the batcher's.
func (b *batcher[C]) add(reports ...outgoing[C]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, reports...)
	if !b.sending && len(b.waiting) > 0 {
		b.sending = true
		b.calls.Go(b.run)
	}
}

// report sends a report and waits for what a node says to it.
func (b *batcher[C]) report(report C, key string, bytes int) error {
	answered := make(chan error, 1)
	b.add(outgoing[C]{report, key, bytes, func(_ workcmd.BeatenTask, err error) { answered <- err }})
	return <-answered
}

// run sends what waits until nothing does.
func (b *batcher[C]) run() {
	for batch := b.take(); len(batch) > 0; batch = b.take() {
		next := make(chan struct{})
		b.calls.Go(func() {
			pass := sync.OnceFunc(func() { close(next) })
			defer pass()
			b.send(batch, pass)
		})
		<-next
	}
}

// take gives the reports of the next call; none when nothing waits. An item has
// one report in a batch: a node refuses a second one.
func (b *batcher[C]) take() []outgoing[C] {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := map[domain.StreamID]bool{}
	n, bytes := 0, 0
	for ; n < min(len(b.waiting), maxBatch); n++ {
		one := b.waiting[n]
		bytes += one.bytes
		if stream := one.report.Stream(); n > 0 && (seen[stream] || bytes > maxBatchBytes) {
			break
		}
		seen[one.report.Stream()] = true
	}
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.sending = n > 0
	return batch
}

// send makes one call and hands the answers out. A batch that is refused as a
// whole goes in halves, down to the report that is to blame.
func (b *batcher[C]) send(batch []outgoing[C], next func()) {
	list, keys := make([]C, len(batch)), make([]string, len(batch))
	for i, one := range batch {
		list[i], keys[i] = one.report, one.key
	}
	if len(batch) == 1 {
		var answer workcmd.BeatenTask
		err := b.call(b.reports, list[0], keys[0], readInto(&answer, func() string { return b.lacks(answer) }), next)
		batch[0].answer(answer, err)
		return
	}
	key := "worker/batch/" + domain.DeriveID(strings.Join(keys, "\x00"), 0).String()
	var answers struct {
		Items []workcmd.BeatenTask `json:"items"`
	}
	err := b.call(b.reports, b.whole(list), key, readInto(&answers, func() string { return b.lacking(list, answers.Items) }), next)
	switch code := domain.CodeOf(err); {
	case err == nil:
		for i, one := range batch {
			one.answer(answers.Items[i], refusalOf(answers.Items[i]))
		}
		return
	case code == domain.Invalid || code == domain.TooLarge:
		b.Logger.Debug("a batch is refused; it goes in halves", "items", len(batch), "error", err)
		b.send(batch[:len(batch)/2], next)
		b.send(batch[len(batch)/2:], next)
		return
	}
	for _, one := range batch {
		one.answer(workcmd.BeatenTask{}, err)
	}
}

// lacking tells what is missing from the answers to a batch.
func (b *batcher[C]) lacking(reports []C, answers []workcmd.BeatenTask) string {
	if len(answers) != len(reports) {
		return fmt.Sprintf("%d items", len(reports))
	}
	for i, one := range answers {
		if one.TaskID.Stream() != reports[i].Stream() {
			return fmt.Sprintf("item %s at place %d", reports[i].Stream().ID(), i)
		}
		if one.Code == "" {
			if missing := b.lacks(one); missing != "" {
				return missing + " of item " + string(one.TaskID)
			}
		}
	}
	return ""
}

// refusalOf is the error that a report of a batch would have got alone.
func refusalOf(item workcmd.BeatenTask) error {
	if item.Code == "" {
		return nil
	}
	problem := transport.Problem{Code: item.Code, Detail: item.Detail, Faults: item.Faults}
	return problem.Err()
}
