// Package agenda is a queue of future events in virtual time, ordered by time, and
// for equal times by insertion. It has no clock and does nothing by itself.
package agenda

import (
	"container/heap"
	"time"
)

// Agenda holds future events. The zero value is empty.
type Agenda[T any] struct {
	items items[T]
	seq   uint64
}

type item[T any] struct {
	at   time.Duration
	seq  uint64
	what T
}

// Put adds an event at a time since the beginning.
func (a *Agenda[T]) Put(at time.Duration, what T) {
	a.seq++
	heap.Push(&a.items, item[T]{at, a.seq, what})
}

// Len returns the number of events.
func (a *Agenda[T]) Len() int { return len(a.items) }

// Next returns the time of the first event; false if there is none.
func (a *Agenda[T]) Next() (time.Duration, bool) {
	if len(a.items) == 0 {
		return 0, false
	}
	return a.items[0].at, true
}

// Take removes the first event. The agenda must not be empty.
func (a *Agenda[T]) Take() (time.Duration, T) {
	first := heap.Pop(&a.items).(item[T])
	return first.at, first.what
}

type items[T any] []item[T]

func (s items[T]) Len() int { return len(s) }
func (s items[T]) Less(i, j int) bool {
	return s[i].at < s[j].at || s[i].at == s[j].at && s[i].seq < s[j].seq
}
func (s items[T]) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *items[T]) Push(one any) { *s = append(*s, one.(item[T])) }
func (s *items[T]) Pop() any {
	last := len(*s) - 1
	one := (*s)[last]
	(*s)[last] = item[T]{}
	*s = (*s)[:last]
	return one
}
