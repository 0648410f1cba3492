package cmaes

import "math"

// stream generates numbers from a key by SplitMix64: the same key gives the same
// numbers.
type stream uint64

// keyed returns the stream for a sequence of parts.
func keyed(parts ...uint64) *stream {
	state := stream(0x6A09E667F3BCC909)
	for _, p := range parts {
		state ^= stream(p)
		state = stream(state.next())
	}
	return &state
}

func (s *stream) next() uint64 {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// uniform returns a number in (0, 1).
func (s *stream) uniform() float64 { return (float64(s.next()>>11) + 0.5) / (1 << 53) }

// normals returns independent standard normal numbers (Box and Muller).
func (s *stream) normals(n int) []float64 {
	out := make([]float64, n)
	for i := 0; i < n; i += 2 {
		radius := math.Sqrt(-2 * math.Log(s.uniform()))
		sin, cos := math.Sincos(2 * math.Pi * s.uniform())
		out[i] = radius * cos
		if i+1 < n {
			out[i+1] = radius * sin
		}
	}
	return out
}
