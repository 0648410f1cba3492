package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// progressCount counts the events of a demonstration and prints the counts from time to
// time.
type progressCount struct {
	client *client
	events []countedEvent
	began  time.Time
	told   time.Time
	counts map[string]int
}

// countedEvent is a type of event, and the noun that its count is printed with.
type countedEvent struct{ event, what string }

func (a *app) countOf(asked *client, events []countedEvent) progressCount {
	return progressCount{client: asked, events: events, began: a.now(), told: a.now(), counts: map[string]int{}}
}

func (r *progressCount) String() string {
	var parts []string
	for _, one := range r.events {
		parts = append(parts, fmt.Sprintf("%d %s", r.counts[one.event], one.what))
	}
	return strings.Join(parts, ", ")
}

// at returns the counts at a time, in lines of at most 80 columns.
func (r *progressCount) at(now time.Time) string {
	head := fmt.Sprintf("%4.0f s: ", now.Sub(r.began).Seconds())
	indent := strings.Repeat(" ", len(head))
	return head + strings.ReplaceAll(wrapLines(r.String(), 80-len(head)), "\n", "\n"+indent)
}

// follow reads the log until the time is over, enough reports true, or take fails.
func (r *progressCount) follow(ctx context.Context, most time.Duration, a *app, take func(context.Context, domain.Envelope) error, enough func() bool) error {
	timed, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var which selection
	for _, one := range r.events {
		which.filter.Types = append(which.filter.Types, one.event)
	}
	for e, err := range r.client.follow(timed, 0, which) {
		if err == nil {
			r.counts[e.Type]++
			err = take(ctx, e)
		}
		if timed.Err() != nil || err == nil && enough() {
			break
		}
		if err != nil {
			return err
		}
		if now := a.now(); now.Sub(r.told) >= demoReport {
			r.told = now
			a.note("%s", r.at(now))
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a.note("%s", r.at(a.now()))
	return nil
}
