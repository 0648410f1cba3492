package recorded

import (
	"iter"
	"strings"
	"time"

	"github.com/ringrift/rift/cmd/internal/agenda"
	"github.com/ringrift/rift/domain"
)

// moment is something that happens to a pod.
type moment struct {
	pod   domain.TaskID
	place string
	event domain.Event
}

// openBPods emits what happened to the pods in the order of time.
func (r *reading) openBPods(files []int, end int64) error {
	defer r.close()
	var coming agenda.Agenda[moment] // by seconds of the trace
	var created int64
	var lists []iter.Seq2[pod, error]
	for _, i := range files {
		lists = append(lists, r.podsOf(i))
	}
	pods := merged(lists, func(p pod) time.Time { return time.Unix(p.created, 0) }, func(a, b pod) int { return strings.Compare(string(a.id), string(b.id)) })
	for p, err := range pods {
		if err != nil {
			return err
		}
		created = max(created, p.created)
		if err := r.openBUntil(&coming, created); err != nil {
			return err
		}
		p.moments(end, &coming)
	}
	return r.openBUntil(&coming, 1<<62)
}

// podsOf yields the pods of a list.
func (r *reading) podsOf(i int) iter.Seq2[pod, error] {
	return func(yield func(pod, error) bool) {
		t, err := r.csv(i)
		if err != nil {
			yield(pod{}, err)
			return
		}
		report := &r.report.Files[i]
		var created int64
		for {
			more, err := t.next()
			if err != nil {
				yield(pod{}, err)
				return
			}
			if !more {
				return
			}
			p, err := t.pod()
			if err != nil {
				report.Account.Skipped++
				if err := r.broken(t.place(t.line), err); err != nil {
					yield(pod{}, err)
					return
				}
				continue
			}
			report.Account.Events++
			if p.created < created {
				report.ClockBackwards++
				report.LargestStep = max(report.LargestStep, domain.Seconds(created-p.created))
			}
			created = max(created, p.created)
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (r *reading) openBUntil(coming *agenda.Agenda[moment], second int64) error {
	for at, more := coming.Next(); more && int64(at) < second; at, more = coming.Next() {
		_, m := coming.Take()
		err := r.emit(fact{
			stream: m.pod.Stream(), place: m.place,
			time: openBEpoch.Add(at * time.Second), meta: domain.Meta{Correlation: m.place}, event: m.event,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
