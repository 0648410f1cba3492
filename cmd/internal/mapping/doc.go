// Package mapping turns lines of foreign logs into payloads of events by a list
// of rules, which is written as YAML: a regular expression or conditions on
// columns, the event that it means, and where its values stand in the line. Rules
// may remember what a line says until a later one needs it.
//
// A mapping is data. It runs no program, reads no file, has no clock, and every
// list, pattern and memory in it is bounded. It makes payloads only: whether an
// event is well formed is for the catalogue to say, and appending is for the
// importer (package recorded).
//
// Read mapping.go first (what a mapping holds), then decode.go (how it is read),
// interpret.go (what becomes of a line), and shipped/*.yaml as examples.
package mapping
