package work

import "github.com/ringrift/rift/domain"

// itemBytes is what an item takes in memory beside its texts: its state, its place in
// the order, its deadline, and its entries in maps.
const itemBytes = 1 << 10

// listedBytes is what an element of an item's lists takes beside its text. Lists of
// nodes and words are in the order as well.
const listedBytes = 160

// BytesOf is about how many bytes of memory an item takes with these texts. The
// first is its name, which maps refer to as well.
func BytesOf(texts ...string) int {
	n := itemBytes
	for _, text := range texts {
		n += len(text)
	}
	return n
}

// ListedBytes is about how many bytes of memory names take that an item lists.
func ListedBytes[S ~string](names []S) int {
	n := 0
	for _, name := range names {
		n += listedBytes + len(name)
	}
	return n
}

// sized counts what an item takes now instead of what it took.
func (q *Queue) sized(item *Item) {
	q.bytes -= item.bytes
	item.bytes = BytesOf(string(item.ID), item.Type, item.ConfigKey, item.Where, item.UniqueKey, item.Batch, item.ClaimedBy, item.Error) +
		ListedBytes(item.BlockedOn) + ListedBytes(item.Requires)
	for _, e := range item.Exclude {
		item.bytes += ListedBytes([]domain.NodeID{e.NodeID}) + len(e.Reason)
	}
	q.bytes += item.bytes
}

// Bytes is about how many bytes of memory the live items take.
func (q *Queue) Bytes() int { return q.bytes }
