package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The ratio is the median of the ratios of rounds, not the ratio of medians.
func TestRatioIsTakenRoundByRound(t *testing.T) {
	l := newLine("x", "jobs/s", []float64{10, 50, 200}, []float64{20, 100, 50}, want{">=", 0.9})
	if l.Rift != (spread{50, 10, 200}) || *l.Peer != (spread{50, 20, 100}) || *l.Ratio != (spread{0.5, 0.5, 4}) || *l.Met {
		t.Errorf("found %+v, ratio %+v, met %v", l, *l.Ratio, *l.Met)
	}
	if even := spreadOf([]float64{9, 1, 4, 2}); even != (spread{3, 1, 9}) {
		t.Errorf("found %+v", even)
	}
	if l := newLine("x", "", []float64{1}, []float64{0}, want{">=", 0.1}); l.Ratio != nil || *l.Met {
		t.Errorf("want nothing met against a peer that did nothing, found %+v", l)
	}
}

func TestWants(t *testing.T) {
	for _, c := range []struct {
		want  want
		ratio float64
		met   bool
		text  string
	}{
		{want{">=", 0.9}, 0.9, true, "≥ 0.9"},
		{want{">=", 0.9}, 0.89, false, "≥ 0.9"},
		{want{"<=", 2}, 2, true, "≤ 2"},
		{want{"<=", 2}, 2.1, false, "≤ 2"},
	} {
		if c.want.met(c.ratio) != c.met || c.want.String() != c.text {
			t.Errorf("%v of %v: found %v", c.want, c.ratio, c.want.met(c.ratio))
		}
	}
}

// some returns two rounds in which rift is half as fast as its peer.
func some() []round {
	var rounds []round
	for range 2 {
		one := round{}
		for _, l := range loads {
			one[l] = [2]cell{{123456, 3000 / float64(l.clients), 1000, 12345678, 3}, {246912, 500, 2000, 5000, 0}}
		}
		rounds = append(rounds, one)
	}
	return rounds
}

func TestReport(t *testing.T) {
	r := newQueueReport(queueSettings{settings{rounds: 2, cell: 2 * time.Second}, 1000, 256}, some())
	r.Rift, r.Peer, r.Notes = "v1.2.3 0123456789ab", "PostgreSQL 15.18", []string{strings.Repeat("words ", 40)}
	var table, doc bytes.Buffer
	if err := r.table(&table); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
			t.Errorf("want at most %d columns, found %d: %s", columns, n, line)
		}
	}
	for _, row := range []string{
		"jobs/s, 64 clients                 123456   246912  0.50 [0.50..0.50]  ≥ 1   no\n",
		"jobs/s, batches of 50, 8 clients   123456   246912  0.50 [0.50..0.50]  ≥ 0.4 ok\n",
		"rift's CPU, 1 against 64 clients     3000     46.9  64.0 [64.0..64.0]  ≤ 2   no\n",
	} {
		if !strings.Contains(table.String(), row) {
			t.Errorf("want %q in\n%s", row, table.String())
		}
	}
	if err := printJSON(&doc, r); err != nil {
		t.Fatal(err)
	}
	var read queueReport
	if err := json.Unmarshal(doc.Bytes(), &read); err != nil || len(read.Lines) != len(r.Lines) || len(read.Cells) != len(loads) || read.Cells[2].Rift[1].Short != 3 {
		t.Errorf("found %+v, %v", read, err)
	}
}

func TestWrap(t *testing.T) {
	if found := wrap("aa bb cccccc d ee", 5); found != "aa bb\ncccccc\nd ee\n" {
		t.Errorf("found %q", found)
	}
}
