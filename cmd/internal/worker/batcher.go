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

// The largest call: reports, and bytes of their content. A node accepts bodies of 1
// MiB.
const (
	maxBatch      = 500
	maxBatchBytes = 512 << 10
)

// outgoing is one report to send.
type outgoing[C commands.Targeted] struct {
	report C
	key    string // of the report if it is sent alone
	bytes  int    // of its result, error or progress
	answer func(workcmd.BeatenTask, error)
}

// batcher sends the reports of one kind. A report is sent at once if none of its
// kind is being sent; those added meanwhile share the next call. A single report is
// sent as the single command.
//
// A batch is unchanged until a node has answered it: its key is derived from its
// reports, so that a repetition finds what was stored.
type batcher[C commands.Targeted] struct {
	*worker
	whole func([]C) domain.Command
	// call runs a command. When that fails it calls next and keeps trying, so that
	// one batch does not block those after it.
	call func(ctx context.Context, command domain.Command, key string, read reading, next func()) error
	// lacks returns what is missing from the answer to a report; empty for nothing.
	lacks func(workcmd.BeatenTask) string

	mu      sync.Mutex
	waiting []outgoing[C]
	sending bool
}

// add sends reports. Each answer is delivered on a goroutine of the batcher.
func (b *batcher[C]) add(reports ...outgoing[C]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, reports...)
	if !b.sending && len(b.waiting) > 0 {
		b.sending = true
		b.calls.Go(b.run)
	}
}

// report sends a report and returns the node's answer.
func (b *batcher[C]) report(report C, key string, bytes int) error {
	answered := make(chan error, 1)
	b.add(outgoing[C]{report, key, bytes, func(_ workcmd.BeatenTask, err error) { answered <- err }})
	return <-answered
}

// run sends waiting reports until there are none.
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

// take returns the reports of the next call; none if nothing waits. A batch has
// only one report per item, because a node refuses a second one.
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

// send makes one call and distributes the answers. A batch that is refused as a
// whole is split in halves, down to the report that causes it.
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

// lacking returns what is missing from the answers to a batch.
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

// refusalOf returns the error that a report of a batch would have got alone.
func refusalOf(item workcmd.BeatenTask) error {
	if item.Code == "" {
		return nil
	}
	problem := transport.Problem{Code: item.Code, Detail: item.Detail, Faults: item.Faults}
	return problem.Err()
}
