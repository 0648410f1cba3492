// Package pebblelog is the embedded engine of the log: one folder, one process,
// pebble/v2 below.
//
// One goroutine, the sequencer, takes every append in turn: it checks the
// expected revision and the identity of the events, gives them their places,
// writes one synced batch for all that waited, and only then moves the durable
// head, which is as far as readers and subscribers see. A payload is stored
// once; a stream is an index over the records.
//
// The package never looks into a payload, never acknowledges what is not
// synced, never ends the process when the disk fails (it refuses appends as
// unavailable and opens the folder again), and never asks the clock except for
// the max age of a stream and to pause between attempts to reopen.
//
// Read keys.go for what is stored, sequencer.go for how it is written, read.go
// for how it is read.
package pebblelog
