package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// batchesAnswer is the document of calc sprt --batches.
type batchesAnswer struct {
	Model    rating.Model   `json:"model"`
	Elo0     float64        `json:"elo0"`
	Elo1     float64        `json:"elo1"`
	Alpha    float64        `json:"alpha"`
	Beta     float64        `json:"beta"`
	Decision rating.Verdict `json:"decision"`
	Batch    int            `json:"batch,omitempty"` // the batch at which the test decided; 0: none
	LLR      float64        `json:"llr"`             // at that batch, or at the end
	Batches  []batchAnswer  `json:"batches"`
}

// batchAnswer is the state of the test after one batch. The bounds are corrected for
// overshoot.
type batchAnswer struct {
	Batch int     `json:"batch"`
	Units int     `json:"units"` // games or pairs so far
	LLR   float64 `json:"llr"`
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
}

// maxBatches bounds the rows of a file of batches.
const maxBatches = 1_000_000

// readBatches decodes rows of three counts (won, drawn, lost) or five counts of pairs.
// The counts it returns begin with the worst result.
func readBatches(in io.Reader) ([][]float64, error) {
	var out [][]float64
	var faults []domain.Fault
	line := 0
	scanner := bufio.NewScanner(in)
	for scanner.Scan() && len(faults) < maxResultFault {
		line++
		text := strings.TrimSpace(strings.TrimPrefix(scanner.Text(), "\ufeff"))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if len(out) == maxBatches {
			return nil, domain.Errorf(domain.TooLarge, "batches: want at most %d, found more", maxBatches)
		}
		want := 5
		if strings.Count(text, ",") == 2 {
			want = 3
		}
		counts, err := wholeNumbers(fmt.Sprintf("line %d", line), text, want)
		if err != nil {
			faults = append(faults, describe(err).Faults...)
			continue
		}
		if len(out) > 0 && len(out[0]) != want {
			faults = append(faults, domain.Fault{Field: fmt.Sprintf("line %d", line), Reason: fmt.Sprintf("want %d counts as in the first row, found %d", len(out[0]), want)})
			continue
		}
		cells := make([]float64, want)
		for i, n := range counts {
			cells[i] = float64(n)
			if want == 3 { // won, drawn, lost
				cells[i] = float64(counts[2-i])
			}
		}
		out = append(out, cells)
	}
	if err := scanner.Err(); err != nil {
		return nil, domain.Errorf(domain.Invalid, "batches: line %d: %w", line+1, err)
	}
	if len(out) == 0 && len(faults) == 0 {
		faults = append(faults, domain.Fault{Field: "batches", Reason: "want rows of counts, found none"})
	}
	return out, domain.Faulty("batches", faults)
}

func (a *app) calcBatches(p *output.Printer, test rating.Test, path string) error {
	if err := test.Check(); err != nil {
		return calcError(err)
	}
	in, err := a.openFile("batches", path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	batches, err := readBatches(in)
	if err != nil {
		return err
	}
	answer := batchesAnswer{Model: test.Model, Elo0: test.Elo0, Elo1: test.Elo1, Alpha: test.Alpha, Beta: test.Beta, Decision: rating.Open}
	sums := make([]float64, len(batches[0]))
	units := 0
	var overshoot rating.Overshoot
	for k, batch := range batches {
		for i, n := range batch {
			sums[i] += n
			units += int(n)
		}
		if units == 0 {
			continue
		}
		llr, err := test.LLR(sums)
		if err != nil {
			return calcError(err)
		}
		overshoot = overshoot.After(llr)
		b := overshoot.Correct(test.Bounds())
		answer.Batches = append(answer.Batches, batchAnswer{k + 1, units, llr, b.Lower, b.Upper})
		answer.LLR, answer.Decision = llr, b.Judge(llr)
		if answer.Decision != rating.Open {
			answer.Batch = k + 1
			break
		}
	}
	l := output.Listing{Doc: answer, Columns: []output.Column{{Name: "batch", Right: true}, {Name: "units", Right: true}, {Name: "llr", Right: true}, {Name: "lower", Right: true}, {Name: "upper", Right: true}}}
	for _, b := range answer.Batches {
		l.Items = append(l.Items, b)
		l.Rows = append(l.Rows, []any{b.Batch, b.Units, fraction(b.LLR), fraction(b.Lower), fraction(b.Upper)})
	}
	l.Below = fmt.Sprintf("\n%s of %d batches", answer.Decision, len(batches))
	if answer.Batch > 0 {
		l.Below = fmt.Sprintf("\n%s after batch %d of %d", answer.Decision, answer.Batch, len(batches))
	}
	return p.Print(l)
}
