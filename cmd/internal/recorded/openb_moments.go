package recorded

import (
	"cmp"
	"container/heap"

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
