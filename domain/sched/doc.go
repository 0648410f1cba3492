// Package sched decides which queued item a node gets next, and says why: the order of
// the queue, the gates between items and nodes, preemption, backpressure, and the size of
// an item.
//
// It never reads a clock, draws a random number, starts a goroutine, takes a lock, or uses
// floating point in a decision, and it does not know events and rows. The caller adds
// items and nodes, and records the answers. The answer depends only on the items, leases,
// nodes and the time, not on the order in which they were added. Pick changes nothing;
// Lease books what it answered.
//
// Read order.go first (Choose is the whole order), then gates.go (what keeps an item from
// a node), then index.go, group.go and pick.go (how both stay cheap when the queue is
// long). policy.go has every number.
//
// # What an index holds
//
// An Index holds the items that are queued or leased. Items that wait for a time or for
// another item are not in it yet, and items that have ended are not in it any more. Only
// calls change an index, not the passing of time: an item is in it from Add to Remove, a
// kind is paused from one SetPauses to the next, a pin holds until an Update lifts it. The
// methods whose answer depends on the time take it as an argument: it decides which items
// starve, and which exclusions, reservations and promises have ended. So an index that is
// folded from events and one that is loaded from storage give the same answers.
//
// To store an index, store of each item what Find returns, and of a lease its node, cost
// and time; of a node its number of leases (Leases) and the items it holds, in order
// (HeldBy); of classes their turns (Turns), of flows their virtual times (Flows); and each
// reservation (Keep) and promise (Promise). Kept does not return all reservations: it
// leaves out those that the reservation of an older item supersedes, which count again
// when that one ends. Add, Hold, SetLeases, SetTurns, SetFlow, Keep and Promise restore
// these. What is known about a node is not stored; SetNode sets it before each question.
//
// Adopt books a decision that an event recorded, with the slots, the weight and the
// virtual times that it had then, so that later rules do not change the past. SetRules
// changes the rules: the class, flow and gates of each item are determined again, leases
// keep their slots, and flows keep their virtual times by class, pool and config.
//
// # The order
//
// Items are ordered by class; within a class the starving items, which have been queued
// for longer than the bound of the class, come first; then items are ordered by the
// virtual start of their config; within a config by priority and by the preference of the
// node or, if they starve, by age alone; then by age, by sequence and by id. Waiting never
// changes the class of an item.
//
// The share of configs is start-time fair queueing (Goyal, Vin and Cheng, 1996)
// with slots as lengths: each config of a class and pool is a flow with a weight
// w; a pick that starts at virtual time S and takes c slots finishes it at
// F = S + c/w, its next pick starts at F, and the smallest start goes first. The
// usual virtual clock, the start of what is in service, cannot be used, because
// nodes with different gates serve different flows at the same time. Instead a
// flow that has not been served for more than 2·(c·W/w + n) turns of its class (W
// the weight and n the number of the flows that have items queued, c the most
// slots any type takes) is stale: it starts at the smallest start of the flows it
// competes with, whether its own is smaller or larger. A flow that always competes
// is served at least every c·W/w + n turns and is never stale, so its share is
// exact to within two turns.
//
// Besides, every R-th lease of a node is reserved (Policy.ReservedEvery): it goes
// to the longest starving item that the node may have, of any class, config and
// priority. It is not charged.
//
// Promised items come before all others. Where an item of a much larger priority
// finds no room, a held item gives way (Exchanges), and the node promises the room
// to the waiting item for a while. It is charged like any other pick.
//
// # Slots
//
// An item takes as many slots as its type says, or all slots of the node if it has fewer,
// so that no node is too small for a type. A node has as many slots as it reports; one
// that reports only free slots has those and the ones of its leases; one that reports
// neither has the default. The caller may pass Unbounded for a node that never reported.
// The free slots that a claim reports bound what it gets, too.
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
// because later items are younger and do not add to K, whatever their priority or
// weight.
//
// Both bounds count picks that could take the item. A node of several slots that
// is never idle frees one slot at a time and makes no such pick for an item of two
// slots. So when a node, on its reserved turn, has no room for the longest
// starving item, which has starved for more than D (Policy.ReserveAfter), the node
// reserves its room: it starts nothing else until the item fits. A node reserves
// for one item, an item is reserved for by one node, and only as many of the
// oldest items have a reservation as the policy says, so little room is idle. Let
// no lease last longer than T, let a node that may have the item and has enough
// slots claim at least every g, and let T + g be shorter than a reservation lasts.
// Then any item starts within
//
//	A + D + (K + 1) · (R + 1) · (T + g).
//
// Promised picks come in addition; each follows from an exchange that the caller asked
// for. Property tests check all three bounds.
package sched
