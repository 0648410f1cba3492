// Package clustersim runs whole clusters in virtual time: nodes of rift on a replicated
// log, each with its disk, clocks and read models, a network between them, and workers
// that claim items, run them and report. The seed and the list of faults determine a run.
//
// During a run it checks that a term has one leader and that a position holds the same
// event on every node; at the end, that acknowledged appends are in the log and refused
// ones are not. simulate.Audit checks from the log which worker ended which item, and
// porcupine checks that some order of the calls explains every answer.
//
// The nodes also run the services that do not use Raft (services.go): the election of
// nodes that share a log, gossip, the relay to nodes that cannot be called, and failure
// detection. They too run the code of a real node.
//
// The simulation never waits and never reads the wall clock. Raft and the services tick
// only for some seconds after something changed, so that a month passes in a second.
//
// A mutation breaks one rule on purpose (mutations.go), which shows that a check finds
// it. A seed that fails is shrunk (shrink.go) and written as a golden script.
//
// Read cluster.go (virtual time), host.go (a node), network.go, faults.go, members.go,
// then load.go and worker.go (the callers) and check.go (the checks). run.go plays
// seeds. services.go has the coroutines and the time of the services.
package clustersim
