//go:build unix

package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/transport"
)

// fakeCluster is a cluster for many items at once, on the clock of a test.
type fakeCluster struct {
	t     *testing.T
	began time.Time
	lease time.Duration
	short map[domain.TaskID]time.Duration     // leases of items that have another
	slow  time.Duration                       // that every call takes
	whole func(asked string, items int) error // returns what is wrong with a call
	each  func(workcmd.Report) *domain.Error  // what is wrong with a report
	tells func(workcmd.Report, *fakeAnswer)   // sets further fields of the answer to a heartbeat

	mu    sync.Mutex
	calls []fakeCall
	ends  map[domain.TaskID]string // what was reported of an item, and taken
	beats map[domain.TaskID][]time.Duration
}

// fakeCall is a call that came.
type fakeCall struct {
	at    time.Duration
	asked string
	key   string
	tasks []domain.TaskID
}

// fakeAnswer is the answer to one report.
type fakeAnswer struct {
	TaskID   domain.TaskID  `json:"task_id"`
	Code     domain.Code    `json:"code,omitempty"`
	Detail   string         `json:"detail,omitempty"`
	Faults   []domain.Fault `json:"faults,omitempty"`
	Deadline time.Time      `json:"deadline,omitzero"`
	Lease    domain.Seconds `json:"lease_seconds,omitempty"`
	Cancel   bool           `json:"cancel"`
	Release  bool           `json:"release"`
}

func newFakeCluster(t *testing.T) *fakeCluster {
	return &fakeCluster{t: t, began: time.Now(), lease: time.Minute, ends: map[domain.TaskID]string{}, beats: map[domain.TaskID][]time.Duration{}}
}

func (c *fakeCluster) leaseOf(task domain.TaskID) time.Duration {
	if short, ok := c.short[task]; ok {
		return short
	}
	return c.lease
}

func (c *fakeCluster) do(_ context.Context, command domain.Command, key string, read reading, _ ...transport.CallOption) error {
	receipt, err := c.answer(command, key)
	if err == nil {
		err = read(receipt)
	}
	return err
}

func (c *fakeCluster) answer(command domain.Command, key string) (transport.Receipt, error) {
	<-time.After(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	var reports []workcmd.Report
	verb, batched := strings.CutSuffix(command.CommandType(), "_batch")
	switch all := command.(type) {
	case workcmd.StartTask:
		reports = append(reports, all.Report)
	case workcmd.HeartbeatTask:
		reports = append(reports, all.Report)
	case workcmd.CompleteTask:
		reports = append(reports, all.Report)
	case workcmd.FailTask:
		reports = append(reports, all.Report)
	case workcmd.ReleaseTask:
		reports = append(reports, all.Report)
	case workcmd.HeartbeatTasks:
		for _, one := range all.Items {
			reports = append(reports, one.Report)
		}
	case workcmd.CompleteTasks:
		for _, one := range all.Items {
			reports = append(reports, one.Report)
		}
	case workcmd.FailTasks:
		for _, one := range all.Items {
			reports = append(reports, one.Report)
		}
	default:
		c.t.Errorf("found a call of %T", command)
	}
	call := fakeCall{at: time.Since(c.began), asked: command.CommandType(), key: key}
	for _, report := range reports {
		call.tasks = append(call.tasks, report.TaskID)
	}
	c.calls = append(c.calls, call)
	if c.whole != nil {
		if err := c.whole(call.asked, len(reports)); err != nil {
			return transport.Receipt{}, err
		}
	}
	var items []fakeAnswer
	for _, report := range reports {
		one := fakeAnswer{TaskID: report.TaskID}
		var wrong *domain.Error
		if c.each != nil && verb != "work.start" {
			wrong = c.each(report)
		}
		switch {
		case wrong != nil && !batched:
			problem := transport.Problem{Code: wrong.Code, Detail: wrong.Msg}
			return transport.Receipt{}, problem.Err()
		case wrong != nil:
			one.Code, one.Detail = wrong.Code, wrong.Msg
		case verb == "work.heartbeat":
			c.beats[report.TaskID] = append(c.beats[report.TaskID], call.at)
			fallthrough
		case verb == "work.start":
			one.Deadline = time.Now().Add(c.leaseOf(report.TaskID))
			one.Lease = training.SecondsOf(c.leaseOf(report.TaskID))
			if c.tells != nil {
				c.tells(report, &one)
			}
		default:
			c.ends[report.TaskID] = strings.TrimPrefix(verb, "work.")
		}
		items = append(items, one)
	}
	var answer any = items[0]
	if batched {
		answer = map[string]any{"items": items}
	}
	body, err := json.Marshal(answer)
	return transport.Receipt{Body: body}, err
}

func (c *fakeCluster) insist(ctx context.Context, command domain.Command, key string, read reading, failed func()) error {
	failed = sync.OnceFunc(failed)
	for {
		err := c.do(ctx, command, key, read)
		if err == nil || !isTemporary(err) {
			return err
		}
		failed()
		if !pause(ctx, 10*time.Second) {
			return err
		}
	}
}

// asked lists the calls of a kind.
func (c *fakeCluster) asked(kind string) []fakeCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.calls), func(call fakeCall) bool { return call.asked != kind })
}

// fakeCommand is a command that ends by itself or on a signal.
type fakeCommand struct {
	over chan struct{}
	once sync.Once
	how  exit
}

func (b *fakeCommand) pid() int                { return 1 }
func (b *fakeCommand) exited() <-chan struct{} { return b.over }
func (b *fakeCommand) end() exit               { return b.how }
func (b *fakeCommand) signal(signal unix.Signal) {
	b.once.Do(func() {
		b.how.signal = unix.SignalName(signal)
		close(b.over)
	})
}

// work runs items that start and last as given, and returns their outcomes.
func (c *fakeCluster) work(items int, begins, lasts func(i int) time.Duration, change func(*worker)) []ending {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var w *worker
	start := func(j job) (child, error) {
		var i int
		for _, pair := range j.env {
			if _, err := fmt.Sscanf(pair, "RIFT_TASK_ID=t%d", &i); err == nil {
				break
			}
		}
		b := &fakeCommand{over: make(chan struct{}), how: exit{started: true}}
		time.AfterFunc(lasts(i), func() { b.once.Do(func() { close(b.over) }) })
		return b, nil
	}
	w = newWorker(ctx, Config{
		Node: "w1", Commands: map[string][]string{"": {"x"}}, Folder: c.t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Grace: 10 * time.Second, OrphanGrace: time.Minute, Tail: 100, MaxResult: 100, Inline: 100,
	}, c, start, make(chan struct{}))
	if change != nil {
		change(w)
	}
	ended := make([]ending, items)
	var all sync.WaitGroup
	for i := range items {
		all.Go(func() {
			<-time.After(begins(i))
			task := domain.TaskID(fmt.Sprintf("t%d", i))
			ended[i] = w.run(claimed{TaskID: task, Lease: 1, TaskType: "x", Deadline: time.Now().Add(c.leaseOf(task)), LeaseSeconds: training.SecondsOf(c.leaseOf(task))}, time.Now())
		})
	}
	all.Wait()
	cancel()
	w.calls.Wait()
	return ended
}

func at(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
