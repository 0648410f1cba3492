package domain

import (
	"iter"
)

// Ordered is a map by string that is never changed: with gives another one that
// shares all but the path to the new entry. A state that grows with its stream
// is made of these, so that taking over a fact costs the same however many came
// before, and leaves the state before it as it was. The zero value is empty.
//
// It is an AVL tree: the heights of two siblings differ by one at most.
type Ordered[V any] struct{ root *branch[V] }

type branch[V any] struct {
	key         string
	value       V
	height      int
	left, right *branch[V]
}

// Get finds the value of a key.
func (o Ordered[V]) Get(key string) (V, bool) {
	b := o.root
	for b != nil {
		switch {
		case key < b.key:
			b = b.left
		case key > b.key:
			b = b.right
		default:
			return b.value, true
		}
	}
	var none V
	return none, false
}

// Has tells whether a key has a value.
func (o Ordered[V]) Has(key string) bool {
	_, found := o.Get(key)
	return found
}

// With gives a map with one more entry, or another value; o stays as it was.
func (o Ordered[V]) With(key string, value V) Ordered[V] {
	return Ordered[V]{o.root.With(key, value)}
}

// All yields the entries in the order of their keys.
func (o Ordered[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) { o.root.walk(yield) }
}

// From yields the entries from a key on, in the order of their keys.
func (o Ordered[V]) From(key string) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) { o.root.walkFrom(key, yield) }
}

func (b *branch[V]) walkFrom(key string, yield func(string, V) bool) bool {
	switch {
	case b == nil:
		return true
	case b.key < key:
		return b.right.walkFrom(key, yield)
	}
	return b.left.walkFrom(key, yield) && yield(b.key, b.value) && b.right.walk(yield)
}

func (b *branch[V]) walk(yield func(string, V) bool) bool {
	return b == nil || b.left.walk(yield) && yield(b.key, b.value) && b.right.walk(yield)
}

func (b *branch[V]) With(key string, value V) *branch[V] {
	switch {
	case b == nil:
		return &branch[V]{key: key, value: value, height: 1}
	case key < b.key:
		return b.balanced(b.left.With(key, value), b.right)
	case key > b.key:
		return b.balanced(b.left, b.right.With(key, value))
	}
	return &branch[V]{key, value, b.height, b.left, b.right}
}

func (b *branch[V]) tall() int {
	if b == nil {
		return 0
	}
	return b.height
}

// over is the entry of b with these two beside it.
func (b *branch[V]) over(left, right *branch[V]) *branch[V] {
	return &branch[V]{b.key, b.value, max(left.tall(), right.tall()) + 1, left, right}
}

// balanced is over, turned so that neither side is taller by more than one.
func (b *branch[V]) balanced(left, right *branch[V]) *branch[V] {
	switch lean := left.tall() - right.tall(); {
	case lean > 1 && left.left.tall() >= left.right.tall():
		return left.over(left.left, b.over(left.right, right))
	case lean > 1:
		return left.right.over(left.over(left.left, left.right.left), b.over(left.right.right, right))
	case lean < -1 && right.right.tall() >= right.left.tall():
		return right.over(b.over(left, right.left), right.right)
	case lean < -1:
		return right.left.over(b.over(left, right.left.left), right.over(right.left.right, right.right))
	}
	return b.over(left, right)
}
