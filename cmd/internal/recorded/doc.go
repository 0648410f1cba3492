// Package recorded turns recordings of other clusters into events: logs of rift itself,
// two public traces of GPU clusters, and the text logs of the original orchestrator. It
// streams files of any length and accounts for every line. The same line gives the same
// event in whatever file it is, so that overlapping files are imported once
// (jsonl.Ordinals has the rule).
//
// A line of a text log becomes an event if it changes a level that is known from earlier
// lines of the import and from the log. If a later recording is imported before an
// earlier one, the later may have given an event that is no change after the earlier one,
// which the report counts as repeated, and may lack an event that is one, which importing
// the later recording again adds. The end of a training belongs to the item that was held
// longest when the line was imported. Some state is not in events and so is known within
// one import only: the sources of a back-pressure, repeated reports of an open breaker,
// which leader a node believed in, and gaps between two files.
//
// It never guesses: what a recording does not say stays absent, or its line is counted as
// skipped with the reason.
//
// Read import.go first, then detect.go (the formats), report.go (the account of lines),
// merge.go (the order of several files), then ringrift.go with patterns.go, fold.go and
// knowledge.go, the largest importer.
package recorded
