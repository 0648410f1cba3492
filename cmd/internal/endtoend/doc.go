// Package endtoend holds the tests that need real processes: they build the
// rift binary once, start it on folders of their own, load it over HTTP, kill
// it, stop it, starve it of disk space, step its wall clock, and compare what its
// clients were told with what its log holds afterwards. It has no code of its own
// but the time.Now that can be stepped (testdata/time), and it never looks at a
// running node otherwise than its users can.
//
// RIFT_CRASH_ROUNDS sets how often TestKill kills the node (6 when unset),
// RIFT_CLUSTER_ROUNDS how often something happens to the nodes of TestClusterRounds (5),
// RIFT_CHAOS_SECONDS how long workers are troubled (8), and RIFT_CRASH_SEED repeats a
// run's choices. With RIFT_CLOCK_STEPS the wall clocks of nodes are stepped too.
//
// Read process_test.go (a node as a process), ledger_test.go (what clients were
// told, and how it is checked against the log), then the test you care about.
package endtoend
