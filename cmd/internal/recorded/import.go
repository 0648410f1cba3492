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
	Node     string           // who wrote the logs, where they do not say
	Cluster  string           // the cluster the facts belong to; empty: the default one
	Mapping  *mapping.Mapping // of the format mapping, and of no other
	Growing  bool             // the files may still be written to: leave a last line that no line feed ends for a later import
	Progress func(Progress)   // told now and then, and at the end

	sortBytes int // held by each sorter; 0: maxSortedBytes
}

// Progress says how far an import is.
type Progress struct {
	File       string `json:"file"`
	Lines      int64  `json:"lines"`
	Bytes      int64  `json:"bytes"` // read from the files, packed as they are
	TotalBytes int64  `json:"total_bytes"`
	Events     int64  `json:"events"` // handed to the log
}

// maxLine bounds a line of a text log.
const maxLine = 1 << 20

// progressEvery is how many lines pass between two tellings.
const progressEvery = 4096

// Import appends what the recordings say to a log. The format is that of every
// file; empty, each file's own, found by what is in it. A file that is not of the
// format, or of none, is an error before anything is appended. A folder means the
// files in it that are recordings; the report names the others.
//
// Several files are one recording, in the order of time: neither their names nor
// the order in which they are named matter. Files that hold stretches of one log,
// as their positions say, follow one another. Importing the same files again, or
// files that overlap those imported before, appends what is new; what is older
// than the end of the log stands behind it and is counted as late.
func Import(ctx context.Context, log eventlog.Log, catalog *domain.Catalog, format string, paths []string, options Options) (Report, error) {
	reading, err := open(catalog, format, paths, options)
	if err != nil {
		return Report{Format: format}, err
	}
	reading.log = log
	done, err := jsonl.Import(ctx, log, reading.events(ctx), jsonl.ImportOptions{
		Progress: func(r jsonl.Report) { reading.progress.Events = r.Appended + r.Duplicates },
		Differs: func(found, e domain.Envelope) error {
			if e.Event != nil { // made of a line, by what was known of those before it
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
	reading.tell(true)
	return *report, err
}

// Events yields what the recordings say without a log: envelopes that have no
// place yet. The report is complete when the iteration has ended.
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

// Check says what of the options no import takes.
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
	r := &reading{catalog: catalog, options: options, report: newReport(format), progress: &Progress{}, told: new(int64)}
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

// events merges what the formats say by time.
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
		if err := r.understood(); err != nil {
			yield(domain.Envelope{}, err)
		}
	}
}
