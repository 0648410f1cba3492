package recorded

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// MappingFormat is the format of files that a user's mapping describes. It is never
// detected.
const MappingFormat = "mapping"

func formMapping(s sample) int { return len(s.lines) }

// mappedRecord is a record of a file with its time.
type mappedRecord struct {
	file  int
	place string
	cause string
	at    time.Time
	piece mapping.Piece
	rank  int64 // its number in the sorted order of all records
}

// feedsMapping merges all files by time, because rules may need what records of another
// file made them remember.
func feedsMapping(r *reading, files []int) []iter.Seq2[domain.Envelope, error] {
	return []iter.Seq2[domain.Envelope, error]{r.feed(func(own *reading) error {
		m := &mapped{reading: own, rules: mapping.NewReader(own.options.Mapping, own.catalog)}
		var texts []iter.Seq2[mappedRecord, error]
		for _, i := range files {
			texts = append(texts, m.records(i))
		}
		records := merged(texts, func(one mappedRecord) time.Time { return one.at }, func(a, b mappedRecord) int { return strings.Compare(a.cause, b.cause) })
		if own.options.Mapping.SortTimes {
			m.held = m.sorter()
			defer m.held.close()
			records = m.sorted(records)
		}
		for one, err := range records {
			if err == nil {
				err = own.account(one.file, func() error { return m.take(one) })
			}
			if err != nil {
				return err
			}
		}
		return m.end()
	})}
}

func (m *mapped) sorter() *sorter {
	return &sorter{bound: cmp.Or(m.options.sortBytes, maxSortedBytes)}
}

// mapped is the state of an import by a mapping.
type mapped struct {
	*reading
	rules     *mapping.Reader
	read      seen
	held      *sorter   // sorts the events by time; nil: they keep the order of the records
	last      time.Time // time of the last event
	lastPlace string    // its record
	equal     int64     // events with the time of the event before, from another record
}

// records yields the valid records of a file.
func (m *mapped) records(i int) iter.Seq2[mappedRecord, error] {
	return func(yield func(mappedRecord, error) bool) {
		text, err := m.unpacked(i)
		if err != nil {
			yield(mappedRecord{}, err)
			return
		}
		report := &m.report.Files[i]
		var clock time.Time
		var ordinals jsonl.Ordinals
		for piece, err := range m.options.Mapping.Records(text, m.files[i].Path) {
			if err == nil {
				err = m.line(i)
			}
			if err != nil {
				yield(mappedRecord{}, err)
				return
			}
			one := mappedRecord{file: i, piece: piece, place: m.placeOf(i, piece.Record.Number)}
			if piece.TooLong {
				report.TooLong++
			}
			if !utf8.ValidString(piece.Record.Text) {
				report.InvalidUTF8++
			}
			if piece.Blank {
				report.Account.Blank++
				continue
			}
			if piece.Open && m.options.Growing && (piece.Broken != nil || m.options.Mapping.Lines == mapping.Text) {
				report.Account.Skipped++
				m.skip("", openLine, one.place+": "+piece.Record.Text)
				continue
			}
			if piece.Broken != nil {
				report.Account.Skipped++
				if err := m.broken(one.place, piece.Broken); err != nil {
					yield(mappedRecord{}, err)
					return
				}
				continue
			}
			if at := m.rules.TimeOf(&piece.Record); !at.IsZero() {
				m.clock(report, clock, at)
				clock = at
			} else if m.options.Mapping.Timed() {
				report.Unstamped++
			}
			one.at = clock
			one.cause = lineCause(&ordinals, one.at, piece.Said)
			if !yield(one, nil) {
				return
			}
		}
	}
}

func (m *mapped) clock(report *FileReport, before, at time.Time) {
	if back := before.Sub(at); back > 0 {
		report.ClockBackwards++
		report.LargestStep = max(report.LargestStep, domain.Seconds(back.Seconds()))
	}
	if report.First == nil {
		report.First = &at
	}
	report.Last = &at
}

// take applies the rules to a record.
func (m *mapped) take(one mappedRecord) error {
	example := one.place + ": " + one.piece.Record.Text
	if m.read.before(one.cause) {
		m.fold("", "the same line was read before: files overlap", example)
		return nil
	}
	out, err := m.rules.Take(&one.piece.Record)
	if err != nil {
		return domain.Errorf(domain.CodeOf(err), "%s: %w", one.place, err)
	}
	if len(out.Rules) == 0 {
		m.report.Files[one.file].Account.NotUnderstood++
		m.report.Files[one.file].Account.Context-- // account will count it there
		m.report.notUnderstood(example)
		return nil
	}
	for _, rule := range out.Rules {
		row := m.report.row(rule, len(m.files))
		row.Lines++
		row.PerFile[one.file]++
	}
	for _, skip := range out.Skips {
		if skip.Folded {
			m.fold(skip.Rule, skip.Reason, example)
		} else {
			m.skip(skip.Rule, skip.Reason, example)
		}
	}
	for n, said := range out.Facts {
		f := fact{
			stream: said.Stream, cause: one.cause + "\x00" + decimal(int64(n)), time: said.Time, event: said.Event, row: said.Rule, place: example,
			meta: domain.Meta{Actor: m.options.Mapping.Name, Node: m.options.Node, Correlation: one.place},
		}
		if err := m.say(f, one.rank); err != nil {
			return err
		}
	}
	return nil
}

// say passes an event on, or adds it to the sorter.
func (m *mapped) say(f fact, rank int64) error {
	e, made := m.envelope(f)
	switch {
	case !made:
		return nil
	case m.held == nil:
		return m.order(e, f.row, f.time)
	}
	m.report.Mapped++ // so that account counts its record as an event
	return m.held.add(f.time, rank, packEvent(e, f.row))
}

// order passes an event on, and counts it if only the order of the file placed it behind
// the one before.
func (m *mapped) order(e domain.Envelope, row string, at time.Time) error {
	if at.Equal(m.last) && e.Meta.Correlation != m.lastPlace {
		m.equal++
	}
	m.last, m.lastPlace = at, e.Meta.Correlation
	return m.pass(e, row)
}

// end passes on the sorted events, and adds a note about equal times.
func (m *mapped) end() error {
	if m.held != nil {
		for kept, err := range m.held.all() {
			if err != nil {
				return err
			}
			m.report.Mapped-- // pass counts it
			e, row, err := m.unpackEvent(kept)
			if err == nil {
				err = m.order(e, row, kept.key.time())
			}
			if err != nil {
				return err
			}
		}
	}
	if m.equal > 0 {
		m.report.Notes = append(m.report.Notes, fmt.Sprintf("warning: %d events have the time of the one before them; there the order of the file decided", m.equal))
	}
	return nil
}

// ExplainLine says which rule of a mapping takes a record, and why the other rules do not.
// number is that of its line, or of its element in a list. Earlier records are applied
// first, because rules may remember them.
func ExplainLine(ctx context.Context, catalog *domain.Catalog, path string, m *mapping.Mapping, number int64) ([]string, error) {
	r, err := open(catalog, MappingFormat, []string{path}, Options{Mapping: m, Lenient: true})
	if err != nil {
		return nil, err
	}
	if len(r.files) != 1 {
		return nil, domain.Errorf(domain.Invalid, "want one file to explain a line of, found %d", len(r.files))
	}
	r.ctx = ctx
	defer r.close()
	reader := &mapped{reading: r, rules: mapping.NewReader(m, catalog)}
	records := reader.records(0)
	if m.SortTimes {
		records = reader.sorted(records)
	}
	var said []string
	for one, err := range records {
		if err != nil {
			return said, err
		}
		n := one.piece.Record.Number
		if n != number {
			if n > number && !m.SortTimes {
				break
			}
			if _, err := reader.rules.Take(&one.piece.Record); err != nil {
				return said, err
			}
			continue
		}
		explained, err := reader.rules.Explain(&one.piece.Record)
		if err != nil {
			return said, err
		}
		said = append(said, one.place+": "+clip(strings.ToValidUTF8(one.piece.Record.Text, "�"), 2000))
		said = append(said, explained.Lines...)
	}
	if len(said) == 0 {
		return nil, domain.Errorf(domain.NotFound, "%s: want line %d, found %s", path, number, cmp.Or(nothingAt(r, number), "no record there"))
	}
	return said, nil
}

func nothingAt(r *reading, number int64) string {
	if lines := r.report.Files[0].Lines; lines < number {
		return fmt.Sprintf("%d lines or records", lines)
	}
	return "a header, an empty line or a broken record there"
}
