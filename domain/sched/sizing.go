package sched

import (
	"fmt"
	"math/bits"
	"time"
)

// Sizing asks how many games an item should have so that it takes about a
// wanted time on the node that gets it.
type Sizing struct {
	Target      time.Duration // wall-clock time wanted
	Concurrency int           // games played at once, at least 1
	Batch       int           // the answer is a multiple of it, at least 1
	Least, Most int           // bounds of the answer; Most 0: none
	Unmeasured  int           // the answer while nothing was measured
}

// Sized is the answer and why.
type Sized struct {
	Games  int
	Reason string
}

// Games divides the wanted time by the measured time of a game: target ×
// concurrency ÷ time per game, rounded down to whole batches, at least one
// batch, then bounded. It is the rule by which public testing networks for
// chess engines cut their work, where the batch is what the sequential test
// looks at. The bounds are rounded inwards to batches where that leaves
// anything; a bound below one batch gives one batch.
func (s Sizing) Games(measured Throughput) Sized {
	batch := max(s.Batch, 1)
	wanted, why := s.Unmeasured, "nothing was measured yet"
	if perGame := measured.PerGame(); perGame.Known {
		wanted = quotient(uint64(max(s.Target, 0)), uint64(max(s.Concurrency, 1)), uint64(perGame.Value))
		why = fmt.Sprintf("%v × %d at once ÷ %v a game", s.Target, max(s.Concurrency, 1), perGame.Value)
	}
	games := max(wanted/batch, 1) * batch
	if least := ceilTo(s.Least, batch); games < least {
		games, why = least, why+fmt.Sprintf(", raised to at least %d", s.Least)
	}
	if most := max(s.Most/batch, 1) * batch; s.Most > 0 && games > most {
		games, why = most, why+fmt.Sprintf(", cut to at most %d", s.Most)
	}
	return Sized{games, why}
}

// mostGames keeps answers within what an int has on every machine.
const mostGames = 1 << 30

// quotient is a × b ÷ c without overflow on the way, cut to mostGames.
func quotient(a, b, c uint64) int {
	high, low := bits.Mul64(a, b)
	if high >= c {
		return mostGames
	}
	q, _ := bits.Div64(high, low, c)
	return int(min(q, mostGames))
}

func ceilTo(n, batch int) int {
	return (min(max(n, 0), mostGames) + batch - 1) / batch * batch
}

// Throughput is what was measured of one kind of item on one kind of node: a
// row of two numbers. Older measurements count less, by halving both.
type Throughput struct {
	Games int64         `json:"games"`
	Time  time.Duration `json:"time"` // spent on them, all games at once counted apart
}

// Measured adds what one item took: games, and the time times the number that
// were played at once. A measurement that cannot be is ignored.
func (t Throughput) Measured(games int, spent time.Duration, concurrency int, window time.Duration) Throughput {
	if games <= 0 || games > mostGames || spent <= 0 || concurrency < 1 {
		return t
	}
	total := spent * time.Duration(concurrency)
	if total/time.Duration(concurrency) != spent || total > maxMeasured {
		return t
	}
	t.Games, t.Time = t.Games+int64(games), t.Time+total
	for window > 0 && t.Time > window && t.Games > 1 {
		t.Games, t.Time = (t.Games+1)/2, t.Time/2
		if t.Time <= total {
			break // what was just measured is never forgotten
		}
	}
	return t
}

// maxMeasured is ten thousand days, far from the end of a duration.
const maxMeasured = 10_000 * 24 * time.Hour

// PerGame is the time of one game; not known before a measurement.
func (t Throughput) PerGame() Maybe[time.Duration] {
	if t.Games <= 0 || t.Time <= 0 {
		return Maybe[time.Duration]{}
	}
	return Known(max(t.Time/time.Duration(t.Games), 1))
}
