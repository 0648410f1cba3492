package sched

import (
	"fmt"
	"math/bits"
	"time"
)

// Sizing says how long an item should take, from which Games computes its number of games.
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

// Games returns target × concurrency ÷ the measured time of a game, rounded down to whole
// batches, at least one, and bounded. Public testing networks for chess engines size their
// work in this way. Bounds are rounded to whole batches, inwards if possible; a bound
// below one batch gives one batch.
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

// Throughput is the measured throughput of one kind of item on one kind of node. Both
// numbers are halved from time to time, so that older measurements count less.
type Throughput struct {
	Games int64         `json:"games"`
	Time  time.Duration `json:"time"` // sum of the times of the games
}

// Measured adds the measurement of one item. It ignores an impossible one.
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
			break // the new measurement is kept whole
		}
	}
	return t
}

// maxMeasured is ten thousand days, far from the end of a duration.
const maxMeasured = 10_000 * 24 * time.Hour

// PerGame returns the time of one game; it is not known before a measurement.
func (t Throughput) PerGame() Maybe[time.Duration] {
	if t.Games <= 0 || t.Time <= 0 {
		return Maybe[time.Duration]{}
	}
	return Known(max(t.Time/time.Duration(t.Games), 1))
}
