package work

import "github.com/ringrift/rift/domain"

// itemBytes is the memory of an item besides its texts: its state, its entries in
// the index and in maps, its deadline.
const itemBytes = 1 << 10

// listedBytes is the memory of an element of an item's lists besides its text.
// Lists of nodes and words are in the index as well.
const listedBytes = 160

// BytesOf estimates the memory of an item with these texts in bytes. The first is
// its name, which maps refer to as well.
func BytesOf(texts ...string) int {
	n := itemBytes
	for _, text := range texts {
		n += len(text)
	}
	return n
}

// ListedBytes estimates the memory of a list of names of an item in bytes.
func ListedBytes[S ~string](names []S) int {
	n := 0
	for _, name := range names {
		n += listedBytes + len(name)
	}
	return n
}

// sized updates the memory counted for an item.
func (q *Queue) sized(item *Item) {
	q.bytes -= item.bytes
	item.bytes = BytesOf(string(item.ID), item.Type, item.ConfigKey, item.Where, item.UniqueKey, item.Batch, item.ClaimedBy, item.Error) +
		ListedBytes(item.BlockedOn) + ListedBytes(item.Requires)
	for _, e := range item.Exclude {
		item.bytes += ListedBytes([]domain.NodeID{e.NodeID}) + len(e.Reason)
	}
	q.bytes += item.bytes
}

// Bytes returns about how many bytes of memory the live items take.
func (q *Queue) Bytes() int { return q.bytes }
