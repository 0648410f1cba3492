// Package pebblelog is the embedded engine of the log: a folder that one process uses, on
// pebble/v2.
//
// One goroutine, the sequencer, decides all appends in order: it checks the expected
// revision and the ids of the events, assigns positions and revisions, writes one synced
// batch for all appends that waited, and then moves the durable head. Readers and
// subscribers see the events up to the durable head. A payload is stored once; a stream is
// an index over the records.
//
// The package does not look into payloads and acknowledges only what is synced. When the
// disk fails it does not end the process: it refuses appends as unavailable and opens the
// folder again. It reads the clock only for the max age of streams and for pauses between
// attempts to reopen.
//
// Read keys.go for what is stored, sequencer.go for how it is written, and read.go for how
// it is read.
package pebblelog
