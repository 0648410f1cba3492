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
// item from a node), then index.go, group.go and pick.go (how both stay cheap
// when the queue is long). policy.go has every number.
//
// # What an index holds
//
// An Index holds the items that are queued or leased and nothing else: what waits
// for a time or for another item is not in it yet, what ended is in it no more.
// Calls change it, the passing of time does not: an item is there from Add to
// Remove, a kind is paused from one SetPauses to the next, a pin holds until an
// Update lifts it. A moment is an argument of the questions whose answer depends
// on one: what starves, and which exclusions, kept rooms and promises have ended.
// So an index that is folded from events, and one that is loaded from what was
// stored, answer alike.
//
// To store one, write down of each item what Find gives, and of a lease its node,
// cost and time; of a node its leases (Leases) and which items it holds, in order
// (HeldBy); of classes their turns (Turns), of flows what they are owed (Flows);
// and each room that a node keeps (Keep, which names the item whose room it takes)
// or makes (Promise). Kept is not enough for that: it leaves out rooms that an older
// item's reservation supersedes, which count again when that one ends. Add, Hold,
// SetLeases, SetTurns, SetFlow, Keep and Promise restore them. What is known of a
// node is not stored: SetNode says it before each question.
//
// Adopt books a decision that an event recorded, with the slots, the weight and the
// virtual times of then, so that other rules since do not change the past. SetRules
// goes on by other rules: items find their classes, flows and gates anew, leases
// keep their slots, and flows keep their virtual times by class, pool and config.
//
// # The order
//
// Items are ordered by class; within the class by tier: what has been queued for
// longer than the class's bound is starving and goes before what has not; then
// by the virtual start of its config; within the config by priority and by what
// the node prefers, or, if starving, by age alone, so that ageing has no
// plateau; then by age, then by sequence, then by id. A class is never changed by
// waiting.
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
// Before all that goes what was promised: where an item of a much larger priority
// finds no room, a held one gives way (Exchanges), and the node gives the room to
// the item that it was made for, for as long as the promise lasts. It is charged
// like any other pick.
//
// # Slots
//
// An item takes the slots that its type says, or all that the node has, if that
// is less: no node is too small for a type. A node has as many as it says; one that
// says only how many are free has these and those that its leases take; one that
// says neither has the default. The caller may say Unbounded of a node that never
// said. What a claim says is free bounds what it is given, too.
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
// Promised picks come on top; each follows from an exchange that the caller asked
// for. All three are properties that the tests try to break.
package sched
