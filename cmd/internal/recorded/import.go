package recorded

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// Format is a kind of recording.
type Format struct {
	Name    string   `json:"name"`
	About   string   `json:"about"`
	Endings []string `json:"endings"` // of the files in a folder that belong to it; .gz and .zst may follow
	read    func(*reading) error
}

// Formats lists the kinds of recordings.
func Formats() []Format {
	return []Format{
		{"jsonl", "events as lines, in the shape of GET /events", []string{".jsonl"}, readJSONL},
		{"openb", "pods and nodes of a GPU cluster, as the CSV files of the OpenB trace of 2023", []string{".csv"}, readOpenB},
		{"faults", "faults of GPU nodes with their starts and ends, as a JSON array", []string{".json"}, readFaults},
		{"ringrift", "the text logs of the original orchestrator", []string{".log", ".txt"}, readRingRift},
	}
}

// Options of an import.
type Options struct {
	Lenient  bool           // leave broken lines and records out instead of ending with the first
	Node     string         // who wrote the logs, where they do not say
	Cluster  string         // the cluster the facts belong to; empty: the default one
	Progress func(Progress) // told now and then, and at the end
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

// Import appends what the recordings say to a log. Folders mean the files in
// them that belong to the format; several files are read together, in the order
// of their times where they have some. Importing the same files again appends
// nothing.
func Import(ctx context.Context, log eventlog.Log, catalog *domain.Catalog, format string, paths []string, options Options) (Report, error) {
	reading, err := open(catalog, format, paths, options)
	if err != nil {
		return Report{Format: format}, err
	}
	defer reading.close()
	reading.log = log
	done, err := jsonl.Import(ctx, log, reading.events(ctx), jsonl.ImportOptions{Progress: func(r jsonl.Report) {
		reading.progress.Events = r.Appended + r.Duplicates
	}})
	report := reading.report
	report.Appended, report.Duplicates, report.Head = done.Appended, done.Duplicates, done.Head
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
		defer reading.close()
		defer reading.report.finish()
		for e, err := range reading.events(ctx) {
			if !yield(e, err) || err != nil {
				return
			}
		}
	}, reading.report, nil
}

func open(catalog *domain.Catalog, format string, paths []string, options Options) (*reading, error) {
	var names []string
	for _, known := range Formats() {
		names = append(names, known.Name)
		if known.Name != format {
			continue
		}
		files, err := jsonl.Files(paths, known.Endings...)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, domain.Errorf(domain.Invalid, "want at least one file to import")
		}
		if options.Cluster == "" {
			options.Cluster = domain.DefaultCluster
		}
		if err := domain.CheckName(options.Cluster); err != nil {
			return nil, domain.Errorf(domain.Invalid, "cluster: %w", err)
		}
		if options.Node != "" {
			if err := domain.CheckName(options.Node); err != nil {
				return nil, domain.Errorf(domain.Invalid, "node: %w", err)
			}
		}
		r := &reading{format: known, catalog: catalog, files: files, options: options, report: newReport(format)}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil {
				r.progress.TotalBytes += info.Size()
			}
			r.report.Files = append(r.report.Files, FileReport{Name: recording(file)})
		}
		return r, nil
	}
	return nil, domain.Errorf(domain.Invalid, "format %q: want one of %s", format, strings.Join(names, ", "))
}

// reading is one import on its way.
type reading struct {
	format   Format
	catalog  *domain.Catalog
	log      eventlog.Log // to be appended to; nil: none
	files    []string
	options  Options
	report   *Report
	progress Progress
	opened   []io.Closer

	ctx   context.Context
	yield func(domain.Envelope, error) bool
	told  int64
}

// fact is something a recording says, before it is an envelope.
type fact struct {
	stream domain.StreamID
	cause  string // what its identity derives from, with the event's type
	time   time.Time
	meta   domain.Meta
	event  domain.Event
	row    string // the pattern it came from, for the report
	place  string // "file:line", for the report
}

// errStopped ends a read whose consumer wants no more.
var errStopped = domain.Errorf(domain.Internal, "import stopped by its consumer")

func (r *reading) events(ctx context.Context) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		r.ctx, r.yield = ctx, yield
		if err := r.format.read(r); err != nil && !errors.Is(err, errStopped) {
			yield(domain.Envelope{}, err)
		}
	}
}

// emit makes an envelope of a fact. A fact that the catalogue refuses is
// counted as skipped, with the faults; it is no reason to end the import.
func (r *reading) emit(f fact) error {
	eventType, version, data, err := r.catalog.Encode(f.event)
	if err == nil {
		_, err = domain.ParseStreamID(string(f.stream))
	}
	if err != nil {
		r.skip(f.row, "refused: "+err.Error(), f.place)
		return nil
	}
	f.meta.Actor = strings.ToValidUTF8(f.meta.Actor, "�")
	return r.pass(domain.Envelope{
		Stream: f.stream, ID: domain.DeriveID(r.format.Name+"\x00"+f.cause+"\x00"+eventType, 0),
		Type: eventType, Version: version, Time: domain.Instant(f.time), Meta: f.meta, Data: data, Event: f.event,
	}, f.row)
}

func (r *reading) pass(e domain.Envelope, row string) error {
	r.report.Mapped++
	r.report.events[e.Type]++
	if row := r.report.rows[row]; row != nil {
		row.Events++
	}
	if !r.yield(e, nil) {
		return errStopped
	}
	return nil
}

func (r *reading) skip(row, why, example string) {
	note(r.report.skipped, row, why, example)
	if row := r.report.rows[row]; row != nil {
		row.Skipped++
	}
}

func (r *reading) fold(row, why, example string) {
	note(r.report.folded, row, why, example)
	if row := r.report.rows[row]; row != nil {
		row.Folded++
	}
}

// broken deals with a line that means nothing: an error, or a skipped line.
func (r *reading) broken(place string, err error) error {
	err = domain.Errorf(domain.CodeOf(err), "%s: %w", place, err)
	if !r.options.Lenient {
		return err
	}
	r.skip("", "broken", err.Error())
	return nil
}

// line counts a line of the i-th file and tells of the progress now and then.
func (r *reading) line(i int) error {
	r.report.Files[i].Lines++
	r.progress.Lines++
	if r.progress.Lines%progressEvery != 0 {
		return nil
	}
	r.progress.File = r.files[i]
	r.tell(false)
	return r.ctx.Err()
}

func (r *reading) tell(last bool) {
	if r.options.Progress == nil || (last && r.told == r.progress.Lines && r.told != 0) {
		return
	}
	r.told = r.progress.Lines
	r.options.Progress(r.progress)
}

// unpacked opens the i-th file, counting what is read of it.
func (r *reading) unpacked(i int) (io.Reader, error) {
	file, err := os.Open(r.files[i])
	if err != nil {
		return nil, domain.Errorf(domain.NotFound, "%w", err)
	}
	r.opened = append(r.opened, file)
	unpacked, err := jsonl.Unpack(&counter{file, &r.progress.Bytes}, r.files[i])
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "%s: %w", r.files[i], err)
	}
	r.opened = append(r.opened, unpacked)
	return unpacked, nil
}

func (r *reading) close() {
	for i := len(r.opened) - 1; i >= 0; i-- {
		_ = r.opened[i].Close() // only read from: nothing to lose
	}
	r.opened = nil
}

type counter struct {
	io.Reader
	count *int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.count += int64(n)
	return n, err
}

// recording is a file's name as evidence names it: without folders, packing
// and ending, so that the same recording is the same wherever it lies.
func recording(path string) string {
	name := filepath.Base(path)
	for _, packing := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packing)
	}
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// readJSONL passes events on as they are, ids and all.
func readJSONL(r *reading) error {
	for i, path := range r.files {
		file, err := r.unpacked(i)
		if err != nil {
			return err
		}
		options := jsonl.ReadOptions{
			Lenient: r.options.Lenient,
			OnSkip:  func(_ string, _ int64, fault error) { r.skip("", "broken", fault.Error()) },
		}
		var stopped error
		options.OnLine = func(string, int64) {
			if err := r.line(i); err != nil {
				stopped = err
			}
		}
		for e, err := range jsonl.Read(file, path, options) {
			if err == nil {
				err = stopped
			}
			if err == nil {
				r.known(e)
				err = r.pass(e, "")
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// known notes event types that this build's catalogue lacks; they are kept.
func (r *reading) known(e domain.Envelope) {
	if _, ok := r.catalog.Lookup(e.Type); !ok {
		text := "kept, though this build knows no event of the type " + e.Type
		if !slices.Contains(r.report.Notes, text) && len(r.report.Notes) < maxReasons {
			r.report.Notes = append(r.report.Notes, text)
		}
	}
}
