package tournament

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ringrift/rift/domain/tournament"
)

// Names that an older or another log has are text in a drawing, whatever they are, and
// no terminal is moved by them.
func TestNamesAreTextInDrawings(t *testing.T) {
	evil := `</text><script>alert("1")</script>&amp;'` + "\x1b]0;x\x07\x00\u009b\ufffe\xff"
	for _, format := range []tournament.Format{tournament.Swiss, tournament.SingleElimination, tournament.DoubleElimination} {
		b := Bracket{
			TournamentID: tournament.ID(evil), Format: format, State: evil, Reason: evil,
			Rounds: []Round{
				{Round: 1, Part: evil, Pairings: []Pairing{{Pairing: 1, Players: []string{evil, "b"}, Result: &Result{Points: []float64{1, 0}, Winner: evil, Reason: evil}}, {Pairing: 2, Players: []string{evil}, Bye: true, Result: &Result{Points: []float64{0}}}}},
				{Round: 2, Part: "losers", Pairings: []Pairing{{Pairing: 1, Players: []string{"b", evil}, Failure: evil}}},
			},
			Standings: []tournament.Standing{{Rank: 1, Participant: evil, Withdrawn: true}, {Rank: 2, Participant: "b"}},
		}
		drawn := b.SVG(evil)
		decoder := xml.NewDecoder(strings.NewReader(drawn))
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: want XML, found %v in\n%s", format, err, drawn)
			}
			if start, ok := token.(xml.StartElement); ok && !strings.Contains(" svg style rect text path ", " "+start.Name.Local+" ") {
				t.Errorf("%s: want no element of a name's, found %s", format, start.Name.Local)
			}
		}
		if text := b.Text(); strings.ContainsAny(text, "\x1b\x07\x00\u009b") {
			t.Errorf("%s: want no control characters, found %q", format, text)
		}
	}
}

// The form is that of the question, else what the caller accepts.
func TestForms(t *testing.T) {
	for _, c := range []struct{ form, accept, want string }{
		{"", "", ""},
		{"", "*/*", ""},
		{"", "application/json", ""},
		{"json", "image/svg+xml", ""},
		{"", "image/svg+xml", "image/svg+xml"},
		{"svg", "application/json", "image/svg+xml"},
		{"", "text/plain", "text/plain; charset=utf-8"},
		{"", "image/svg+xml, application/json;q=0.1", ""},
	} {
		if kind, _ := (Bracket{form: c.form}).Form(c.accept); kind != c.want {
			t.Errorf("form %q, accept %q: want %q, found %q", c.form, c.accept, c.want, kind)
		}
	}
}

// A bracket in a terminal fits 80 columns, and names that begin alike stay apart.
func TestTextFits(t *testing.T) {
	long := func(i int) string {
		return "model-of-the-night-with-a-long-name-" + strings.Repeat("0", 20) + strconv.Itoa(i)
	}
	b := Bracket{TournamentID: "spring", Format: tournament.Swiss, State: "running", Rounds: []Round{{Round: 1, Pairings: []Pairing{
		{Pairing: 1, Players: []string{long(1), long(2)}},
		{Pairing: 32, Players: []string{long(3), long(4), long(5), long(6)}, Result: &Result{Points: []float64{1, 0.5, 0.5, 0}, Reason: strings.Repeat("because ", 30)}},
	}}}}
	drawn := b.Text()
	for line := range strings.Lines(drawn) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("found a line of %d characters: %q", n, line)
		}
	}
	if !strings.Contains(drawn, "00002") || !strings.Contains(drawn, "006") {
		t.Errorf("want the ends of names, found\n%s", drawn)
	}
}
