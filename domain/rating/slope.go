package rating

import "time"

// Point is a rating at a time.
type Point struct {
	At  time.Time
	Elo float64
}

// Slope returns the least squares slope through points, in Elo per hour. It is zero
// if all of them have the same time.
func Slope(points []Point) float64 {
	if len(points) == 0 {
		return 0
	}
	hours := func(p Point) float64 { return p.At.Sub(points[0].At).Hours() }
	var meanHours, meanElo float64
	for _, p := range points {
		meanHours += hours(p) / float64(len(points))
		meanElo += p.Elo / float64(len(points))
	}
	var above, below float64
	for _, p := range points {
		distance := hours(p) - meanHours
		above += distance * (p.Elo - meanElo)
		below += distance * distance
	}
	if below == 0 {
		return 0
	}
	return above / below
}
