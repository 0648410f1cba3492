package rating

import (
	"fmt"
	"math"
)

// Wilson returns the Wilson score interval of a share at a number of standard
// deviations (1.96 for 95 %). Draws count as half a point.
func Wilson(points, games, deviations float64) (low, high float64, err error) {
	var f faults
	f.within("games", games, 1, 1e15)
	f.within("points", points, 0, games)
	f.within("deviations", deviations, 0, 100)
	if err := f.err("wilson"); err != nil {
		return 0, 0, err
	}
	p, z := points/games, deviations*deviations/games
	centre := (p + z/2) / (1 + z)
	half := deviations / (1 + z) * math.Sqrt(p*(1-p)/games+z/(4*games))
	low, high = max(0, centre-half), min(1, centre+half)
	if points == 0 { // exact, without rounding errors
		low = 0
	}
	if points == games {
		high = 1
	}
	return low, high, nil
}

// Z95 is the number of standard deviations of a two-sided interval of 95 %.
const Z95 = z95

// Normalized returns the normalized Elo of a distribution of three or five cells,
// and half its 95 % interval: the score's lead over one half, in standard
// deviations of a game, times 800/ln 10.
func Normalized(cells []float64) (elo, half float64, err error) {
	if err := CheckCells(cells); err != nil {
		return 0, 0, err
	}
	total, mean, variance := moments(cells)
	perGame := math.Sqrt(variance * float64(len(cells)-1) / 2)
	games := total * float64(len(cells)-1) / 2
	unit := 800 / math.Ln10
	elo = (mean - 0.5) / perGame * unit
	if !finite(elo) {
		return 0, 0, &Invalid{"normalized elo", []Fault{{"cells", "they do not vary"}}}
	}
	return elo, z95 * unit / math.Sqrt(games), nil
}

// Alike reports whether all of several units ended the same way. Results without
// variation show that the experiment repeats itself, and not how strong anybody is.
func Alike(cells []float64) bool {
	total, used := 0.0, 0
	for _, n := range cells {
		total += n
		if n > 0 {
			used++
		}
	}
	return used == 1 && total > 1
}

// Screen compares the outcomes of workers: a row holds the counts of one worker by
// result. Rows with an expected count of 5 or less in some cell are left out. It
// returns the probability of differences this large between equal workers, and the
// deviation of each worker: the largest standardised residual of its row, 0 for
// rows left out.
func Screen(rows [][]float64) (p float64, residuals []float64, err error) {
	var f faults
	for i, row := range rows {
		if len(row) < 2 || len(row) != len(rows[0]) {
			f.add(fmt.Sprintf("worker %d", i+1), "want as many counts as the first has, at least 2, found %d", len(row))
		}
		for _, n := range row {
			f.within(fmt.Sprintf("worker %d", i+1), n, 0, 1e12)
		}
	}
	if err := f.err("screen"); err != nil {
		return 0, nil, err
	}
	residuals = make([]float64, len(rows))
	kept := make([]bool, len(rows))
	for i := range kept {
		kept[i] = true
	}
	for {
		columns, total, dropped := screenSums(rows, kept)
		for i, row := range rows {
			if kept[i] && !expectsMore(row, columns, total) {
				kept[i], dropped = false, true
			}
		}
		if !dropped {
			return screenKept(rows, kept, columns, total, residuals), residuals, nil
		}
	}
}

func screenSums(rows [][]float64, kept []bool) (columns []float64, total float64, dropped bool) {
	for i, row := range rows {
		if !kept[i] {
			continue
		}
		if columns == nil {
			columns = make([]float64, len(row))
		}
		for j, n := range row {
			columns[j] += n
			total += n
		}
	}
	return columns, total, false
}

func sumOf(row []float64) float64 {
	sum := 0.0
	for _, n := range row {
		sum += n
	}
	return sum
}

// expectsMore reports whether the expected count of every used cell is above 5.
func expectsMore(row, columns []float64, total float64) bool {
	sum := sumOf(row)
	for _, c := range columns {
		if c > 0 && !(sum*c/total > 5) {
			return false
		}
	}
	return true
}

func screenKept(rows [][]float64, kept []bool, columns []float64, total float64, residuals []float64) float64 {
	chi, workers, cells := 0.0, 0, 0
	for _, c := range columns {
		if c > 0 {
			cells++
		}
	}
	for i, row := range rows {
		if !kept[i] {
			continue
		}
		workers++
		sum := sumOf(row)
		for j, n := range row {
			if columns[j] == 0 {
				continue
			}
			expected := sum * columns[j] / total
			chi += (n - expected) * (n - expected) / expected
			if spread := expected * (1 - sum/total) * (1 - columns[j]/total); spread > 0 {
				residuals[i] = max(residuals[i], math.Abs(n-expected)/math.Sqrt(spread))
			}
		}
	}
	if workers < 2 || cells < 2 {
		return 1
	}
	return chiSquareTail(chi, float64((workers-1)*(cells-1)))
}

// chiSquareTail returns the probability of more than x in a chi-squared
// distribution: the incomplete gamma function, by its series or its continued
// fraction.
func chiSquareTail(x, degrees float64) float64 {
	a, x := degrees/2, x/2
	if x <= 0 {
		return 1
	}
	lg, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - lg)
	if x < a+1 {
		term := 1 / a
		sum := term
		for n := a + 1; term > sum*1e-17; n++ {
			term *= x / n
			sum += term
		}
		return max(0, 1-front*sum)
	}
	b := x + 1 - a
	c, d := 1e300, 1/b
	h := d
	for i := 1.0; i < 10_000; i++ {
		an := i * (a - i)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return front * h
}
