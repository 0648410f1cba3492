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
	"unicode"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// reading is the state of an import. Each feed of events has its own copy, with its own
// yield and open files, and shares the report and the progress.
type reading struct {
	format     Format
	catalog    *domain.Catalog
	log        eventlog.Log // the log that is appended to; nil: none
	files      []File
	options    Options
	report     *Report
	progress   *Progress
	progressAt *int64 // Progress.Lines of the last call of Options.Progress

	ctx    context.Context
	yield  func(domain.Envelope, error) bool
	opened []io.Closer
}

// fact is an event before it is encoded as an envelope.
type fact struct {
	stream domain.StreamID
	cause  string // its id derives from this and the event's type; empty: from its stream, time and data
	time   time.Time
	meta   domain.Meta
	event  domain.Event
	row    string // the pattern it came from, for the report
	place  string // "file:line", for the report
}

// errStopped ends a read whose consumer stopped.
var errStopped = domain.Errorf(domain.Internal, "import stopped by its consumer")

// feed returns the events that read passes to emit and pass.
func (r *reading) feed(read func(*reading) error) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		own := *r
		own.yield, own.opened = yield, nil
		defer own.close()
		if err := read(&own); err != nil && !errors.Is(err, errStopped) {
			yield(domain.Envelope{}, err)
		}
	}
}

// emit encodes a fact and passes it on.
func (r *reading) emit(f fact) error {
	e, made := r.envelope(f)
	if !made {
		return nil
	}
	return r.pass(e, f.row)
}

// envelope encodes a fact. A fact that the catalogue refuses is counted as skipped with
// its faults, and does not end the import.
func (r *reading) envelope(f fact) (e domain.Envelope, made bool) {
	eventType, version, data, err := r.catalog.Encode(f.event)
	if err == nil {
		_, err = domain.ParseStreamID(string(f.stream))
	}
	if err != nil {
		r.skip(f.row, "refused: "+err.Error(), f.place)
		return e, false
	}
	f.meta.Actor = strings.ToValidUTF8(f.meta.Actor, "�")
	at := domain.Instant(f.time)
	if f.cause == "" {
		content := jsonl.ContentOf([]byte(f.stream), []byte(at.Format(domain.Timestamp)), data)
		f.cause = string(content[:])
	}
	return domain.Envelope{
		Stream: f.stream, ID: domain.DeriveID(r.format.Name+"\x00"+f.cause+"\x00"+eventType, 0),
		Type: eventType, Version: version, Time: at, Meta: f.meta, Data: data, Event: f.event,
	}, true
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
	r.report.skips++
	note(r.report.skipped, row, why, example)
	if row := r.report.rows[row]; row != nil {
		row.Skipped++
	}
}

func (r *reading) fold(row, why, example string) {
	r.report.folds++
	note(r.report.folded, row, why, example)
	if row := r.report.rows[row]; row != nil {
		row.Folded++
	}
}

// account calls take and counts the line by what take did.
func (r *reading) account(file int, take func() error) error {
	report, lines := r.report, &r.report.Files[file].Account
	made, folds, skips := report.Mapped, report.folds, report.skips
	err := take()
	switch {
	case report.Mapped > made:
		lines.Events++
	case report.folds > folds:
		lines.Folded++
	case report.skips > skips:
		lines.Skipped++
	default:
		lines.Context++
	}
	return err
}

// broken handles a line that cannot be decoded: an error, or with lenient a skipped line.
func (r *reading) broken(place string, err error) error {
	code := domain.CodeOf(err)
	if code == domain.Internal {
		code = domain.Invalid // a decoder's error
	}
	err = domain.Errorf(code, "%s: %w", place, err)
	if !r.options.Lenient {
		return err
	}
	r.report.broken[r.format.Name]++
	r.skip("", "broken", err.Error())
	return nil
}

// line counts a line of the i-th file and reports progress.
func (r *reading) line(i int) error {
	r.report.Files[i].Lines++
	r.progress.Lines++
	if r.progress.Lines%progressEvery != 0 {
		return nil
	}
	r.progress.File = r.files[i].Path
	r.reportProgress(false)
	return r.ctx.Err()
}

func (r *reading) reportProgress(last bool) {
	if r.options.Progress == nil || (last && *r.progressAt == r.progress.Lines && *r.progressAt != 0) {
		return
	}
	*r.progressAt = r.progress.Lines
	r.options.Progress(*r.progress)
}

// unpacked opens the i-th file, counting what is read of it.
func (r *reading) unpacked(i int) (io.Reader, error) {
	file, err := os.Open(r.files[i].Path)
	if err != nil {
		return nil, domain.Errorf(domain.NotFound, "%w", err)
	}
	r.opened = append(r.opened, file)
	unpacked, err := jsonl.Unpack(&counter{file, &r.progress.Bytes})
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "%s: %w", r.files[i].Path, err)
	}
	r.opened = append(r.opened, unpacked)
	return unpacked, nil
}

func (r *reading) close() {
	for i := len(r.opened) - 1; i >= 0; i-- {
		_ = r.opened[i].Close() // it was only read
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

// recording returns a file's name without its folder and endings, which identifies the
// recording wherever the file is and whether it is compressed.
func recording(path string) string {
	name := filepath.Base(path)
	for _, packing := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packing)
	}
	return visible(strings.TrimSuffix(name, filepath.Ext(name)))
}

// visible is text as reports have it: without what a terminal would obey.
func visible(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '\uFFFD'
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// known holds an event as a line against the catalogue. What this build lacks, and
// what it would refuse, is kept and named: another build, or another program, may have
// written it.
func (r *reading) known(e domain.Envelope, place string) {
	def, ok := r.catalog.Lookup(e.Type)
	if !ok || e.Version > def.Version {
		text := "kept, though this build knows no event of the type " + visible(e.Type)
		if ok {
			text += " in version " + decimal(int64(e.Version))
		}
		if !slices.Contains(r.report.Notes, text) && len(r.report.Notes) < maxReasons {
			r.report.Notes = append(r.report.Notes, text)
		}
		return
	}
	event, err := r.catalog.Decode(e.Type, e.Version, e.Data)
	if err == nil {
		faults := def.Faults(event)
		if homed, is := event.(domain.Homed); is && len(faults) == 0 && homed.Home() != e.Stream {
			faults = append(faults, domain.Fault{Field: "stream", Reason: "want " + string(homed.Home()) + " by what the event says, found another"})
		}
		err = domain.Faulty(e.Type, faults)
	}
	if err != nil {
		r.report.wrong++
		note(r.report.faulty, e.Type, err.Error(), place+": "+string(e.Stream)+" "+string(e.Data))
	}
}
