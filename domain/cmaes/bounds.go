package cmaes

import "math"

// inside maps a variable of the search into its bounds like pycma's BoundTransform:
// the identity in the middle, a parabola near a bound, and mirrored beyond it. It
// is smooth, and every value in the range has a preimage.
func inside(x, low, high float64) float64 {
	edgeLow, edgeHigh := edges(low, high)
	x = mirror(x, low-edgeLow, high+edgeHigh)
	switch {
	case x < low+edgeLow:
		d := x - (low - edgeLow)
		return min(max(low+d*d/(4*edgeLow), low), high)
	case x > high-edgeHigh:
		d := x - (high + edgeHigh)
		return min(max(high-d*d/(4*edgeHigh), low), high)
	}
	return x
}

// edges returns the widths of the parabolas.
func edges(low, high float64) (float64, float64) {
	half := (high - low) / 2
	return min(half, (1+math.Abs(low))/20), min(half, (1+math.Abs(high))/20)
}

// mirror reflects x at the ends of a range until it is inside.
func mirror(x, low, high float64) float64 {
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		return x
	case math.IsInf(high, 1):
		return max(x, 2*low-x)
	case math.IsInf(low, -1):
		return min(x, 2*high-x)
	}
	width := high - low
	x = math.Mod(x-low, 2*width)
	if x < 0 {
		x += 2 * width
	}
	if x > width {
		x = 2*width - x
	}
	return low + x
}

// outside returns a preimage of a value between the bounds.
func outside(x, low, high float64) float64 {
	edgeLow, edgeHigh := edges(low, high)
	switch {
	case x < low+edgeLow:
		return low - edgeLow + 2*math.Sqrt(edgeLow*max(0, x-low))
	case x > high-edgeHigh:
		return high + edgeHigh - 2*math.Sqrt(edgeHigh*max(0, high-x))
	}
	return x
}
