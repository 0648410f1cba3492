// Package work is the read model of the queue: one row per item, its indexes by
// state, type, config and node, counts, shares, history, and the answers to why an
// item waits.
//
// Rows answer questions. Claims are decided on domain/work.Queue, which LoadQueue builds
// from the rows. A claim reads only one row itself: the measured speed of the node
// (speed.go), for the size of the item.
//
// Read work.go first (TaskRow and the handlers), then fold.go and index.go (how a
// row and its indexes follow an event), and queries.go; explain.go answers why.
package work
