package recorded

import (
	"bytes"
	"iter"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// merged merges sources by time. Each source keeps its own order: a value behind a younger
// one waits for that. Of equal times, the source with the earlier first value comes first,
// and tie decides between sources whose first values have the same time. So the order
// depends only on the content of the sources.
func merged[T any](sources []iter.Seq2[T, error], at func(T) time.Time, tie func(a, b T) int) iter.Seq2[T, error] {
	if len(sources) == 1 {
		return sources[0]
	}
	return func(yield func(T, error) bool) {
		var heads []*head[T]
		for _, source := range sources {
			next, stop := iter.Pull2(source)
			defer stop()
			one := &head[T]{next: next}
			more, err := one.advance(at)
			if err != nil {
				yield(one.value, err)
				return
			}
			if more {
				heads = append(heads, one)
			}
		}
		slices.SortStableFunc(heads, func(a, b *head[T]) int {
			if order := a.order.Compare(b.order); order != 0 {
				return order
			}
			return tie(a.value, b.value)
		})
		for len(heads) > 0 {
			first := 0
			for i, one := range heads {
				if one.order.Before(heads[first].order) {
					first = i
				}
			}
			if !yield(heads[first].value, nil) {
				return
			}
			more, err := heads[first].advance(at)
			if err != nil {
				yield(heads[first].value, err)
				return
			}
			if !more {
				heads = slices.Delete(heads, first, first+1)
			}
		}
	}
}

// head is a source with its next value.
type head[T any] struct {
	next  func() (T, error, bool)
	value T
	order time.Time // the latest time of its values so far
}

func (h *head[T]) advance(at func(T) time.Time) (more bool, err error) {
	if h.value, err, more = h.next(); err != nil || !more {
		return false, err
	}
	if t := at(h.value); t.After(h.order) {
		h.order = t
	}
	return true, nil
}

func timeOf(e domain.Envelope) time.Time { return e.Time }
func byID(a, b domain.Envelope) int      { return bytes.Compare(a.ID[:], b.ID[:]) }
