package work

import (
	"fmt"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

type retryFailed struct {
	TaskID domain.TaskID `json:"task_id"`
}

func (retryFailed) CommandType() string       { return "work.retry" }
func (c retryFailed) Stream() domain.StreamID { return c.TaskID.Stream() }

func retryTask(t work.Task, c retryFailed, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case t.State != work.StateFailed:
		return nil, nil
	case !t.Retryable:
		return []domain.Event{work.Dead{TaskID: c.TaskID, Attempts: t.Attempts, Reason: "not retryable: " + t.Error}}, nil
	case t.Attempts >= t.MaxAttempts:
		return []domain.Event{work.Dead{TaskID: c.TaskID, Attempts: t.Attempts, Reason: fmt.Sprintf("%d of %d attempts failed; the last: %s", t.Attempts, t.MaxAttempts, t.Error)}}, nil
	}
	again := work.RetryScheduled{
		TaskID: c.TaskID, Attempts: t.Attempts,
		NotBefore: domain.Instant(facts.Now.Add(backoff(t.Attempts, facts))),
	}
	if avoid := work.PolicyOf(facts.Policy).AvoidSeconds.Duration(); avoid > 0 && t.Node != "" {
		again.Exclude = &work.Exclusion{NodeID: t.Node, Until: domain.Instant(facts.Now.Add(avoid)), Reason: "it failed there: " + t.Error}
	}
	return []domain.Event{again}, nil
}

// backoff returns min(cap, base·2^(attempts−1)) with jitter over its upper half, so
// that items that failed together are not retried together.
func backoff(attempts int, facts domain.Facts) time.Duration {
	policy := work.PolicyOf(facts.Policy)
	bound, limit := policy.BackoffBaseSeconds.Duration(), policy.BackoffCapSeconds.Duration()
	for range attempts - 1 {
		if bound *= 2; bound >= limit {
			break
		}
	}
	bound = min(bound, limit)
	return bound/2 + time.Duration(facts.Jitter(uint64(attempts))*float64(bound/2))
}

type requeueWaiting struct {
	TaskID domain.TaskID `json:"task_id"`
}

func (requeueWaiting) CommandType() string       { return "work.requeue" }
func (c requeueWaiting) Stream() domain.StreamID { return c.TaskID.Stream() }

func requeueTask(t work.Task, c requeueWaiting, facts domain.Facts) ([]domain.Event, error) {
	if t.State != work.StateWaiting || facts.Now.Before(t.NotBefore) {
		return nil, nil
	}
	return []domain.Event{work.Requeued{TaskID: c.TaskID, Reason: "back-off over"}}, nil
}
