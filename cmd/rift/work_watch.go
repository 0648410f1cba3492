package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
	workview "github.com/ringrift/rift/projections/work"
)

// watchFlags make `rift work status` repeat.
type watchFlags struct {
	on, drained bool
	taskType    string
	every       time.Duration
}

// addWatch adds the flags that repeat the status of the queue.
func addWatch(a *app, c *cobra.Command) {
	var f watchFlags
	flags := c.Flags()
	flags.BoolVar(&f.on, "watch", false, "show a line now and then, with the rate at which items are done, until stopped")
	flags.BoolVar(&f.drained, "until-drained", false, "with --watch: end when nothing is pending or held any more")
	flags.StringVar(&f.taskType, "type", "", "with --watch: only this type of work")
	flags.DurationVar(&f.every, "every", time.Second, "with --watch: time between lines")
	once := c.RunE
	c.RunE = func(c *cobra.Command, words []string) error {
		if !f.on {
			if f.drained || f.taskType != "" || flags.Changed("every") {
				return usagef("%s: --until-drained, --type and --every: want --watch too", c.CommandPath())
			}
			return once(c, words)
		}
		if flags.Changed("at") || flags.Changed("after") {
			return usagef("%s: --watch: want no --at and no --after: it shows what is", c.CommandPath())
		}
		if f.every < 10*time.Millisecond {
			return usagef("%s: --every: want at least 10ms, found %s", c.CommandPath(), f.every)
		}
		return a.watchWork(c, f)
	}
}

// queueNow is the queue at one moment in numbers.
type queueNow struct {
	At       time.Time       `json:"at"`
	Position domain.Position `json:"position"`
	Pending  int             `json:"pending"` // blocked, queued, or waiting to be retried
	Held     int             `json:"held"`
	Done     int             `json:"done"`
	Ended    int             `json:"ended"` // without being done
	// Rate is how many items were done per second since the previous line; nil on
	// the first line.
	Rate *float64 `json:"done_per_second"`
	Left *float64 `json:"seconds_left"` // at that rate; nil if the rate is 0
}

// watchColumns take 77 columns of a terminal; Max is the space for a number.
var watchColumns = []output.Column{
	{Name: "time"},
	{Name: "pending", Right: true, Max: 9},
	{Name: "held", Title: "in progress", Right: true, Max: 6},
	{Name: "done", Right: true, Max: 9},
	{Name: "ended", Right: true, Max: 6},
	{Name: "done/s", Right: true, Max: 6},
	{Name: "left", Right: true, Max: 6},
	{Name: "position", Right: true, Max: 10},
}

// watchWork prints the numbers of the queue again and again.
func (a *app) watchWork(c *cobra.Command, f watchFlags) error {
	p, client, err := a.printerAndClient(c)
	if err != nil {
		return err
	}
	rows := p.Rows(watchColumns).Live()
	var before queueNow
	ticker := time.NewTicker(f.every)
	defer ticker.Stop()
	for first := true; ; first = false {
		now, err := a.queueNow(c.Context(), client, f.taskType)
		if c.Context().Err() != nil {
			return rows.Close() // a watch ends by being stopped
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
		if !first {
			now.since(before)
		}
		before = now
		if err := rows.Write(now, now.cells()...); err != nil {
			return err
		}
		if f.drained && now.Pending+now.Held == 0 {
			return rows.Close()
		}
		select {
		case <-ticker.C:
		case <-c.Context().Done():
			return rows.Close()
		}
	}
}

func (a *app) queueNow(ctx context.Context, client *client, taskType string) (queueNow, error) {
	answer, err := client.ask(ctx, "work.status", url.Values{})
	if err != nil {
		return queueNow{}, err
	}
	status, err := decode[struct {
		Position domain.Position `json:"position"`
		workview.StatusAnswer
	}](answer)
	if err != nil {
		return queueNow{}, err
	}
	counts := status.ByState
	if taskType != "" {
		counts = status.ByTypeState[taskType]
	}
	now := queueNow{At: a.now(), Position: status.Position}
	for name, n := range counts {
		switch state := work.State(name); {
		case state == work.StateDone:
			now.Done += n
		case state.Held():
			now.Held += n
		case state.Final():
			now.Ended += n
		default:
			now.Pending += n
		}
	}
	return now, nil
}

// since sets the rate relative to the previous line.
func (q *queueNow) since(before queueNow) {
	took := q.At.Sub(before.At).Seconds()
	if took <= 0 {
		return
	}
	rate := float64(q.Done-before.Done) / took
	q.Rate = &rate
	if left := q.Pending + q.Held; rate > 0 {
		seconds := float64(left) / rate
		q.Left = &seconds
	}
}

func (q queueNow) cells() []any {
	cells := []any{q.At.Format(time.TimeOnly), output.Count(q.Pending), output.Count(q.Held), output.Count(q.Done), output.Count(q.Ended), nil, nil, q.Position}
	if q.Rate != nil {
		cells[5] = output.Significant(*q.Rate)
	}
	if q.Left != nil {
		cells[6] = output.Span(time.Duration(*q.Left * float64(time.Second)).Round(time.Second))
	}
	return cells
}
