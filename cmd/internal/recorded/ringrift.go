package recorded

import (
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// originalZone is the zone of the original's stamps, which do not name it.
var originalZone = time.FixedZone("UTC-6", -6*60*60)

// stamped is a line of a text log that a pattern matched, with its time.
type stamped struct {
	file   int
	place  string // "file:line"
	cause  string // identity of the line, see lineCause
	at     time.Time
	logger string
	text   string // the whole line
	kind   *pattern
	groups []string
}

// feedsRingRift merges all logs by time. The observers share one knowledge of the cluster.
func feedsRingRift(r *reading, files []int) []iter.Seq2[domain.Envelope, error] {
	kinds := patterns()
	for _, kind := range kinds {
		r.report.row(kind.row, len(r.files)).Context = kind.context
	}
	return []iter.Seq2[domain.Envelope, error]{r.feed(func(own *reading) error {
		shared := newKnowledge(own)
		translators, coverage := map[int]*translator{}, newCoverage(own, files)
		var texts []iter.Seq2[stamped, error]
		for _, i := range files {
			translators[i] = newTranslator(own, i, shared)
			texts = append(texts, coverage.until(i, own.textLog(i, kinds)))
		}
		lines := merged(texts, func(line stamped) time.Time { return line.at }, func(a, b stamped) int { return strings.Compare(a.text, b.text) })
		for line, err := range lines {
			if err == nil {
				err = coverage.reach(line.file)
			}
			if err == nil {
				err = own.account(line.file, func() error { return translators[line.file].take(line) })
			}
			if err != nil {
				return err
			}
		}
		return shared.end()
	})}
}

// openLine is the reason for which a growing file's last line without a line feed is
// skipped.
const openLine = "no line feed ends it, so that its end may be missing; once one does, a further import takes it"

// textLog yields the lines of one log that a pattern matches.
func (r *reading) textLog(i int, kinds []*pattern) iter.Seq2[stamped, error] {
	return func(yield func(stamped, error) bool) {
		text, err := r.unpacked(i)
		if err != nil {
			yield(stamped{}, err)
			return
		}
		report, name := &r.report.Files[i], recording(r.files[i].Path)
		var clock time.Time
		var ordinals jsonl.Ordinals
		for line, err := range jsonl.Lines(text, r.files[i].Path, maxLine) {
			if err == nil {
				err = r.line(i)
			}
			if err != nil {
				yield(stamped{}, err)
				return
			}
			if line.TooLong {
				report.TooLong++
			}
			if !utf8.Valid(line.Text) {
				report.InvalidUTF8++
			}
			entry := stamped{file: i, text: string(line.Text)}
			at, logger, ok := stamp(entry.text)
			if ok {
				if back := clock.Sub(at); back > 0 {
					report.ClockBackwards++
					report.LargestStep = max(report.LargestStep, domain.Seconds(back.Seconds()))
				}
				clock = at
				if report.First == nil {
					report.First = &at
				}
				report.Last = &at
			} else {
				report.Unstamped++
			}
			entry.at, entry.logger = clock, logger
			entry.place = name + ":" + decimal(line.Number)
			if !entry.recognise(kinds) {
				if strings.TrimSpace(entry.text) == "" {
					report.Account.Blank++
				} else {
					report.Account.NotUnderstood++
					r.report.notUnderstood(entry.place + ": " + entry.text)
				}
				continue
			}
			if line.Open && r.options.Growing { // its end may be missing
				report.Account.Skipped++
				r.skip(entry.kind.row, openLine, entry.place+": "+entry.text)
				continue
			}
			entry.cause = lineCause(&ordinals, entry.at, entry.text)
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// recognise sets the first pattern that matches the line, and its groups.
func (s *stamped) recognise(kinds []*pattern) bool {
	for _, kind := range kinds {
		if groups := kind.match(s.text); groups != nil {
			for g := range groups {
				groups[g] = strings.ToValidUTF8(groups[g], "�")
			}
			s.kind, s.groups = kind, groups
			return true
		}
	}
	return false
}

// stamp parses the beginning of "2026-01-14 00:37:35,802 - logger - LEVEL - message".
func stamp(text string) (at time.Time, logger string, ok bool) {
	const form = "2006-01-02 15:04:05,000"
	if len(text) < len(form)+3 || text[4] != '-' || text[10] != ' ' || text[19] != ',' || text[len(form):len(form)+3] != " - " {
		return time.Time{}, "", false
	}
	at, err := time.ParseInLocation(form, text[:len(form)], originalZone)
	if err != nil {
		return time.Time{}, "", false
	}
	logger, _, found := strings.Cut(text[len(form)+3:], " - ")
	if !found || len(logger) > 200 {
		return time.Time{}, "", false
	}
	return at.UTC(), strings.ToValidUTF8(logger, "�"), true
}
