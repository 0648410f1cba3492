// Package sched decides which queued item a node gets next, and says why: the
// order of the queue, the gates between items and nodes, who gives way to whom,
// how full the queue may be, and how large a piece of work should be.
//
// It never reads a clock, draws a random number, starts a goroutine, takes a
// lock, calculates with floats in a decision, or knows of events and rows: the
// caller feeds it items, nodes and moments and writes down what it answers. The
// same items, leases, nodes and moment give the same answer, in whatever order
// they were fed. It leases nothing by itself: Pick answers, Lease books.
//
// Read order.go first (Choose is the whole order), then gates.go (what keeps an
// item from a node), then index.go and pick.go (how both stay cheap when the
// queue is long). policy.go has every number.
//
// # The order
//
// Items are ordered by class; within the class by tier: what has been queued for
// longer than the class's bound is starving and goes before what has not; then
// by the virtual start of its config; within the config by priority and by what
// the node prefers, or, if starving, by age alone, so that ageing has no
// plateau; then by age, then by id. A class is never changed by waiting.
//
// The share of configs is start-time fair queueing (Goyal, Vin and Cheng, 1996)
// with slots as lengths: each config of a class and pool is a flow with a weight
// w; a pick that starts at virtual time S and takes c slots finishes it at
// F = S + c/w, its next pick starts at F, and the smallest start goes first. The
// usual virtual clock, the start of what is in service, says nothing here, for
// nodes with different gates serve different flows at once. Instead a flow that
// has not been served for more than 2·(c·W/w + n) turns of its class (W the
// weight and n the number of the flows that have items queued, c the most slots
// any type takes) has lost its place, forwards and backwards, and starts level
// with the smallest of those it competes with. A flow that competes all along is
// served at least every c·W/w + n turns and never loses its place, so its share
// is exact, to within two turns.
//
// Besides, every R-th lease of a node is reserved (Policy.ReservedEvery): it
// goes to the longest starving item that the node may have, of whatever class,
// config and priority. It is not charged.
//
// # The starvation bound
//
// Let A be the bound of an item's class, and k the number of items of its flow
// that were queued before it and are still live. Time is counted in picks of
// nodes that pass the item's gates; at a rate of r picks a second, divide by r.
//
// By weight: while no more important class has work, and all those picks could
// take any flow of its class, an item of weight w starts within
//
//	A + (k + 1) · (2·(c·W/w + n) + n) · R/(R-1) / r.
//
// Whatever arrives, on whatever nodes: let K be the number of live items of all
// kinds that were queued before it, and m the number of those nodes; it starts
// within
//
//	A + R · (K + 1 + m) / r,
//
// for later items are never older, so no flood of important, heavy or urgent
// items adds to K.
//
// Both speak of picks that could take the item. A node of several slots that is
// never idle frees one at a time, and makes no such pick for an item of two. So a
// node that on its reserved turn has no room for the longest starving item, which
// has starved for more than D (Policy.ReserveAfter), keeps what is free and
// starts nothing until the item fits. One node does so for an item, one item has
// it of a node, and the oldest items have it of as many nodes as the policy says;
// so little is idle, and younger items never stand before older ones. Let no
// lease last longer than T, and a node that may have the item by its kind, by
// what the node can do and by its slots ask at least every g; let T + g be
// shorter than a reservation lasts. Then any item starts within
//
//	A + D + (K + 1) · (R + 1) · (T + g).
//
// All three are properties that the tests try to break.
package sched
