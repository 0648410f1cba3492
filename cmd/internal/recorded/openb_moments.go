package recorded

import (
	"cmp"
	"container/heap"
	"iter"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// moment is something that happens to a pod at a second of the trace.
type moment struct {
	at    int64
	seq   int64 // equal seconds keep the order of the file
	pod   domain.TaskID
	place string
	event domain.Event
}

// moments is a heap by time.
type moments struct {
	list []moment
	seq  int64
}

func (m *moments) push(next moment) {
	m.seq++
	next.seq = m.seq
	heap.Push(m, next)
}

func (m *moments) Len() int { return len(m.list) }
func (m *moments) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(m.list[i].at, m.list[j].at), cmp.Compare(m.list[i].seq, m.list[j].seq)) < 0
}
func (m *moments) Swap(i, j int) { m.list[i], m.list[j] = m.list[j], m.list[i] }
func (m *moments) Push(x any)    { m.list = append(m.list, x.(moment)) }
func (m *moments) Pop() any {
	last := m.list[len(m.list)-1]
	m.list = m.list[:len(m.list)-1]
	return last
}

// openBPods emits what happened to the pods in the order of time.
func (r *reading) openBPods(files []int, end int64) error {
	defer r.close()
	var coming moments
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
		for _, m := range p.moments(end) {
			coming.push(m)
		}
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

func (r *reading) openBUntil(coming *moments, second int64) error {
	for len(coming.list) > 0 && coming.list[0].at < second {
		m := heap.Pop(coming).(moment)
		err := r.emit(fact{
			stream: m.pod.Stream(), place: m.place,
			time: openBEpoch.Add(time.Duration(m.at) * time.Second), meta: domain.Meta{Correlation: m.place}, event: m.event,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
