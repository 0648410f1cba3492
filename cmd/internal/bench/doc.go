// Package bench measures rift against bounds that are measured in the same run:
// raw pebble writing the same keys, a bare iterator over the same bytes, the
// same fold in memory, a no-op request on the same server. Absolute numbers of
// a machine that others share mean little; ratios of cells that lie seconds
// apart do, so each figure runs its peers in turn, round after round, and
// reports medians with their spread.
//
// It measures and never judges a change: a target is a line in a table. It
// leaves nothing behind but the profiles it was asked for.
//
// Read table.go (what is reported), then suite.go (how figures are run), then
// one figure: append.go, read.go, rebuild.go, handlers.go, asof.go, delivery.go,
// commands.go, http.go, sched.go, queue.go, attacks.go, memory.go, items.go or flat.go. wire.go and
// caller.go are the clients of those that serve; mixed.go makes up events.
package bench
