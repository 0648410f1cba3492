package recorded

import (
	"context"
	"iter"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// Options of an import.
type Options struct {
	Lenient  bool             // leave broken lines and records out instead of ending with the first
	Node     string           // writer of the logs that do not name it
	Cluster  string           // cluster of the events; empty: the default one
	Mapping  *mapping.Mapping // set if and only if the format is mapping
	Growing  bool             // the files may still be written to: skip a last line without a line feed
	Progress func(Progress)   // called every progressEvery lines and at the end

	sortBytes int // memory of each sorter; 0: maxSortedBytes
}

// Progress is the progress of an import.
type Progress struct {
	File       string `json:"file"`
	Lines      int64  `json:"lines"`
	Bytes      int64  `json:"bytes"` // read from the files, compressed as they are
	TotalBytes int64  `json:"total_bytes"`
	Events     int64  `json:"events"` // appended, or in the log already
}

// maxLine bounds a line of a text log, in bytes.
const maxLine = 1 << 20

// progressEvery is the number of lines between two calls of Options.Progress.
const progressEvery = 4096

// Import appends the events of recordings to a log. An empty format means each file's own,
// found by its content. A file of no format, or not of the given one, is an error before
// anything is appended. A folder stands for the recordings in it; the report names the
// other files.
//
// Several files are merged by time; their names and the order of paths do not matter.
// Files that are parts of one log are read in the order of their positions. Importing the
// same or overlapping files again appends only new events; an event older than the end of
// the log is appended too and counted as late.
func Import(ctx context.Context, log eventlog.Log, catalog *domain.Catalog, format string, paths []string, options Options) (Report, error) {
	reading, err := open(catalog, format, paths, options)
	if err != nil {
		return Report{Format: format}, err
	}
	reading.log = log
	done, err := jsonl.Import(ctx, log, reading.events(ctx), jsonl.ImportOptions{
		Progress: func(r jsonl.Report) { reading.progress.Events = r.Appended + r.Duplicates },
		Differs: func(found, e domain.Envelope) error {
			if e.Event != nil { // it derives from a line and from the state at that line
				reading.fold("", "the log has the line's event with other values, from an import of other lines with it", "")
				return nil
			}
			if err := jsonl.Differs(found, e); !options.Lenient {
				return err
			}
			reading.skip("", "its id is that of another event", jsonl.Differs(found, e).Error())
			return nil
		},
	})
	report := reading.report
	report.Appended, report.Duplicates, report.Late, report.Head = done.Appended, done.Duplicates, done.Late, done.Head
	report.finish()
	reading.reportProgress(true)
	return *report, err
}

// Events yields the events of recordings without a log, so they have no position. The
// report is complete when the iteration has ended.
func Events(ctx context.Context, catalog *domain.Catalog, format string, paths []string, options Options) (iter.Seq2[domain.Envelope, error], *Report, error) {
	reading, err := open(catalog, format, paths, options)
	if err != nil {
		return nil, nil, err
	}
	return func(yield func(domain.Envelope, error) bool) {
		defer reading.report.finish()
		for e, err := range reading.events(ctx) {
			if !yield(e, err) || err != nil {
				return
			}
		}
	}, reading.report, nil
}

// Check checks the names in the options.
func (o Options) Check() error {
	for what, name := range map[string]string{"cluster": o.Cluster, "node": o.Node} {
		if err := domain.CheckName(name); name != "" && err != nil {
			return domain.Errorf(domain.Invalid, "%s: %w", what, err)
		}
	}
	return nil
}

func open(catalog *domain.Catalog, format string, paths []string, options Options) (*reading, error) {
	if err := options.Check(); err != nil {
		return nil, err
	}
	if options.Cluster == "" {
		options.Cluster = admin.DefaultCluster
	}
	if (options.Mapping != nil) != (format == MappingFormat) {
		return nil, domain.Errorf(domain.Invalid, "format mapping: want it with a mapping, and a mapping with it: rift log import --map FILE")
	}
	found, err := Detect(paths, format, options.Lenient)
	if err != nil {
		return nil, err
	}
	r := &reading{catalog: catalog, options: options, report: newReport(format), progress: &Progress{}, progressAt: new(int64)}
	names := map[string]bool{}
	for _, file := range found.Files {
		r.files = append(r.files, file)
		r.progress.TotalBytes += file.size
		r.report.Files = append(r.report.Files, FileReport{Name: recording(file.Path), Format: file.Format})
		names[file.Format] = true
	}
	r.report.LeftOut = found.LeftOut
	if r.report.Format == "" {
		r.report.Format = joined(names)
	}
	return r, nil
}

// events merges the events of all formats by time.
func (r *reading) events(ctx context.Context) iter.Seq2[domain.Envelope, error] {
	r.ctx = ctx
	var feeds []iter.Seq2[domain.Envelope, error]
	for _, format := range Formats() {
		var files []int
		for i := range r.files {
			if r.files[i].Format == format.Name {
				files = append(files, i)
			}
		}
		if len(files) == 0 {
			continue
		}
		own := *r
		own.format = format
		feeds = append(feeds, format.feeds(&own, files)...)
	}
	events := merged(feeds, timeOf, byID)
	return func(yield func(domain.Envelope, error) bool) {
		for e, err := range events {
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := r.checkUnderstood(); err != nil {
			yield(domain.Envelope{}, err)
		}
	}
}
