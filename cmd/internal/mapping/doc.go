// Package mapping converts lines of foreign logs to payloads of events by a list of
// rules in YAML: a regular expression or conditions on columns, the event it stands
// for, and where its values are in the line. Rules may remember what a line says
// until a later line needs it.
//
// A mapping is data. It runs no program, reads no file, has no clock, and every
// list, pattern and memory in it is limited. It only produces payloads: the
// catalogue checks events, and the importer (package recorded) appends them.
//
// Read mapping.go first (what a mapping contains), then decode.go (how it is
// parsed), interpret.go (how a line is processed), and shipped/*.yaml as examples.
package mapping
