// Package output prints what commands found, in the form that was asked for:
// tables for people, JSON, JSON lines, CSV and Markdown for programs and pages.
// It also shows progress on the error stream.
//
// It never decides what to print, and it writes nothing that a program would
// trip over: tables, colours and progress appear on a terminal only, unless
// they were asked for.
//
// Read printer.go (one answer), rows.go (answers of any length), cells.go (how
// a value looks), then progress.go.
package output
