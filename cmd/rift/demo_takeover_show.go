package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
)

// takenOver is the outcome for the items, according to the logs of the nodes.
type takenOver struct {
	Timeline []moment `json:"timeline"`
	Added    int      `json:"acknowledged"`
	Once     int      `json:"done_once"`
	Lost     []string `json:"lost"`       // acknowledged but not on the log
	Undone   []string `json:"not_done"`   // on the log but not done
	Twice    []string `json:"done_twice"` // or added twice
	Again    int      `json:"claimed_again"`
	Longest  float64  `json:"longest_wait_seconds"` // for an acknowledgement
	Events   int      `json:"events"`
	Digests  []string `json:"digests"` // of each node's log
}

// faults counts what is wrong.
func (t *takenOver) faults() int {
	n := len(t.Lost) + len(t.Undone) + len(t.Twice)
	if len(slices.Compact(slices.Clone(t.Digests))) != 1 {
		n++
	}
	return n
}

// itemTimes is what the log says about one item.
type itemTimes struct {
	added, claimed int
	done           []time.Time
}

// show audits the logs and prints the outcome and the report on leaders.
func (d *takeover) show(ctx context.Context) error {
	found, err := d.audit(ctx)
	if err != nil {
		return err
	}
	p, err := d.app.printer()
	if err != nil {
		return err
	}
	if err := d.print(p, found); err != nil {
		return err
	}
	if p.Format == output.Table || p.Format == output.Wide || p.Format == output.Markdown {
		now, err := d.leads(ctx)
		if err != nil {
			return err
		}
		for _, words := range [][]string{{"cluster", "status"}, {"report", "cluster"}} {
			words = append(words, "--addr", d.at[now.Node], "-o", d.app.format)
			if _, err := fmt.Fprintf(d.app.stdout, "\n$ rift %s\n\n", strings.Join(words, " ")); err != nil {
				return err
			}
			if err := d.app.within(d.app.stdout.Writer).runs(ctx, words...); err != nil {
				return err
			}
		}
	}
	if n := found.faults(); n > 0 {
		return &findings{n, "item lost, left undone or done twice, or log unlike the others"}
	}
	return nil
}

// audit reads the log of each node up to the leader's end.
func (d *takeover) audit(ctx context.Context) (*takenOver, error) {
	head, err := d.client.head(ctx)
	if err != nil {
		return nil, err
	}
	found := &takenOver{Timeline: d.moments, Added: len(d.acks), Lost: []string{}, Undone: []string{}, Twice: []string{}}
	items := map[string]*itemTimes{}
	for _, node := range takeoverNodes {
		c, err := d.app.newClient(config.Client{Addr: d.at[node], Timeout: 30 * time.Second})
		if err != nil {
			return nil, err
		}
		if err := d.wait(ctx, string(node)+" to have the whole log", func(ctx context.Context) bool {
			at, err := c.head(ctx)
			return err == nil && at >= head
		}); err != nil {
			return nil, err
		}
		sum := sha256.New()
		found.Events = 0
		clear(items)
		for e, err := range c.events(ctx, selection{to: head}) {
			if err != nil {
				return nil, err
			}
			found.Events++
			_, _ = fmt.Fprintf(sum, "%s %s %s\n", e.ID, e.Time.Format(domain.Timestamp), e) // a hash takes everything
			if err := takeItem(items, e); err != nil {
				return nil, err
			}
		}
		found.Digests = append(found.Digests, hex.EncodeToString(sum.Sum(nil)[:4]))
	}
	d.judge(found, items)
	return found, nil
}

// takeItem counts an event of an item.
func takeItem(items map[string]*itemTimes, e domain.Envelope) error {
	switch e.Type {
	case "TASK_SPAWNED", "TASK_CLAIMED", "TASK_COMPLETED":
	default:
		return nil
	}
	var of struct {
		Item string `json:"task_id"`
	}
	if err := json.Unmarshal(e.Data, &of); err != nil {
		return domain.Errorf(domain.Corrupt, "event at %s: %w", e.Position, err)
	}
	one := items[of.Item]
	if one == nil {
		one = &itemTimes{}
		items[of.Item] = one
	}
	switch e.Type {
	case "TASK_SPAWNED":
		one.added++
	case "TASK_CLAIMED":
		one.claimed++
	case "TASK_COMPLETED":
		one.done = append(one.done, e.Time)
	}
	return nil
}

// judge compares the acknowledged items with those on the log.
func (d *takeover) judge(found *takenOver, items map[string]*itemTimes) {
	for _, one := range d.acks {
		found.Longest = max(found.Longest, one.at.Sub(one.sent).Seconds())
		item := items[one.item]
		switch {
		case item == nil || item.added == 0:
			found.Lost = append(found.Lost, one.item)
		case len(item.done) == 0:
			found.Undone = append(found.Undone, one.item)
		case len(item.done) > 1 || item.added > 1:
			found.Twice = append(found.Twice, one.item)
		default:
			found.Once++
		}
		if item != nil && item.claimed > 1 {
			found.Again++
		}
	}
	for i := range found.Timeline {
		m := &found.Timeline[i]
		for _, one := range d.acks {
			if !one.at.After(m.At) {
				m.Added++
			}
		}
		for _, item := range items {
			for _, at := range item.done {
				if !at.After(m.At) {
					m.Done++
				}
			}
		}
		if m.goes {
			m.First = d.firstAfter(m.At)
		}
	}
}

// print prints the timeline and the totals.
func (d *takeover) print(p *output.Printer, found *takenOver) error {
	timeline := output.Listing{
		Doc: found,
		Columns: []output.Column{
			{Name: "seconds", Right: true},
			{Name: "what happened", Max: 32},
			{Name: "leader"},
			{Name: "term", Right: true},
			{Name: "first ack", Right: true},
			{Name: "added", Right: true},
			{Name: "done", Right: true},
		},
		Below: "first ack: seconds until a command that was sent after it was acknowledged",
	}
	for _, m := range found.Timeline {
		timeline.Items = append(timeline.Items, m)
		leader, first := string(m.Leader), ""
		if leader == "" {
			leader = "none"
		}
		if m.First != nil {
			first = fmt.Sprintf("%.2f", *m.First)
		}
		timeline.Rows = append(timeline.Rows, []any{fmt.Sprintf("%.2f", m.At.Sub(d.began).Seconds()), m.What, leader, m.Term, first, m.Added, m.Done})
	}
	if err := p.Print(timeline); err != nil || p.Format != output.Table && p.Format != output.Wide && p.Format != output.Markdown {
		return err
	}
	alike := "yes"
	if len(slices.Compact(slices.Clone(found.Digests))) != 1 {
		alike = "no"
	}
	if _, err := fmt.Fprintln(d.app.stdout); err != nil {
		return err
	}
	return p.Print(output.Listing{Columns: []output.Column{{Name: "measure"}, {Name: "value", Right: true}}, Rows: [][]any{
		{"items acknowledged", found.Added},
		{"of them done once", found.Once},
		{"lost", len(found.Lost)},
		{"not done", len(found.Undone)},
		{"added or done twice", len(found.Twice)},
		{"claimed more than once", found.Again},
		{"longest wait for an acknowledgement", fmt.Sprintf("%.2f s", found.Longest)},
		{"events on each log", found.Events},
		{"the logs of the three nodes are alike", alike},
	}})
}
