// Package work is the read model of the queue: one row per item, its indexes by
// state, type, config and node, counts, shares, history, and the answers to why an
// item waits.
//
// Rows are for questions. Who gets what next is decided on domain/work.Queue, which
// LoadQueue builds from them; besides, a claim only reads how fast a node was
// (speed.go), to say how much of an item it is to do.
//
// Read work.go first (TaskRow and the handlers), then fold.go and index.go (how a
// row and its indexes follow an event), and queries.go; explain.go answers why.
package work
