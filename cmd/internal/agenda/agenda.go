// Package agenda is what is going to happen in a virtual time: things in the order of
// their moments, and those of one moment in the order in which they were put there.
// It has no clock and does nothing by itself.
package agenda

import (
	"container/heap"
	"time"
)

// Agenda holds what is to come. The zero value is an empty one.
type Agenda[T any] struct {
	items items[T]
	seq   uint64
}

type item[T any] struct {
	at   time.Duration
	seq  uint64
	what T
}

// Put adds what happens at a moment, which is a time since the beginning.
func (a *Agenda[T]) Put(at time.Duration, what T) {
	a.seq++
	heap.Push(&a.items, item[T]{at, a.seq, what})
}

// Len is how much is to come.
func (a *Agenda[T]) Len() int { return len(a.items) }

// Next is the moment of what comes first; false when nothing comes.
func (a *Agenda[T]) Next() (time.Duration, bool) {
	if len(a.items) == 0 {
		return 0, false
	}
	return a.items[0].at, true
}

// Take removes what comes first. There has to be something.
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
