package domain

import (
	"iter"
)

// Ordered is an immutable map with string keys: With returns a new map that shares
// all but the path to the new entry with the old one. States that grow with their
// stream use it, so that applying a fact costs the same however many came before
// and leaves the previous state unchanged. The zero value is empty.
//
// It is an AVL tree: the heights of two siblings differ by at most one.
type Ordered[V any] struct{ root *branch[V] }

type branch[V any] struct {
	key         string
	value       V
	height      int
	left, right *branch[V]
}

// Get returns the value of a key.
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

// Has reports whether a key has a value.
func (o Ordered[V]) Has(key string) bool {
	_, found := o.Get(key)
	return found
}

// With returns a map with the entry added or replaced; o is unchanged.
func (o Ordered[V]) With(key string, value V) Ordered[V] {
	return Ordered[V]{o.root.With(key, value)}
}

// All yields the entries in key order.
func (o Ordered[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) { o.root.walk(yield) }
}

// From yields the entries from a key on, in key order.
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

// over returns a node with the entry of b and the given children.
func (b *branch[V]) over(left, right *branch[V]) *branch[V] {
	return &branch[V]{b.key, b.value, max(left.tall(), right.tall()) + 1, left, right}
}

// balanced is like over, but rotates so that the heights of the children differ by
// at most one.
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
