// Package clustersim runs whole clusters in virtual time: nodes of rift on a replicated
// log, each with its disk, its clocks and its read models, a network between them, and
// workers that claim items, do them and report. Nothing happens but by the seed: the
// same seed and the same faults give the same run.
//
// After each step it is checked that a term has one leader, that a position holds the
// same event on every node, that what was acknowledged is there and what was refused is
// not. Which items were done by whom is checked from the log (simulate.Audit), and the
// order of what callers saw by porcupine.
//
// Beside the log the nodes elect a leader of a log that they share, gossip, take calls for
// nodes that cannot be called, and find out who is alive (services.go), by the code of a
// node. A time of theirs stands still as Raft's does.
//
// It never waits, never reads the wall clock and decides nothing that a node decides.
// Raft's time stands still while nothing is wrong, so that a month passes in a second.
//
// A rule can be broken on purpose (mutations.go), which shows that a check finds it. A
// seed that fails is made smaller (shrink.go) and told as a golden script.
//
// Read cluster.go (virtual time), host.go (a node), network.go, faults.go, members.go,
// then load.go and worker.go (who works) and check.go (what has to hold). run.go plays
// seeds. services.go (coroutines and their time) begins what runs beside the log.
package clustersim
