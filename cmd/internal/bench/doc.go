// Package bench measures what a machine gives rift, beside bounds that are measured in
// the same run: raw pebble writing the same keys, a bare iterator over the same bytes, a
// no-op request to the same server. Absolute numbers of a machine that others use too
// mean little. Ratios of measurements that are seconds apart mean more, so each figure
// runs what it compares in turn, round after round, and reports medians with their
// spread. What only developers want to know is measured by benchmarks of the packages.
//
// A run leaves nothing behind but the profiles that were asked for.
//
// Read table.go (what is reported), then suite.go (how figures are run), then one
// figure: append.go, read.go, rebuild.go, asof.go, http.go, claim.go, queue.go,
// memory.go, items.go or flat.go. wire.go and caller.go are the HTTP clients, mixed.go
// makes up the events.
package bench
