package cmaes

import (
	"math"
	"slices"
)

// Function is a test function with minimum 0.
type Function struct {
	Name  string
	About string
	Value func(x []float64) float64
}

// Functions lists the test functions, modelled on the BBOB suite. The optimum is at
// 0, except for rosenbrock and griewank_rosenbrock (at 1) and gallagher.
func Functions() []Function {
	return []Function{
		{"sphere", "Σ x²", sphere},
		{"ellipsoid", "axes up to 1000 times as long, along the variables", ellipsoid},
		{"rotated_ellipsoid", "the same, turned", func(x []float64) float64 { return ellipsoid(turned(x)) }},
		{"rosenbrock", "a bent valley, with a local optimum", rosenbrock},
		{"rastrigin", "a sphere with 10 waves a unit: very many local optima", rastrigin},
		{"discus", "one variable counts 10⁶ times", func(x []float64) float64 { return sphere(x) + (1e6-1)*x[0]*x[0] }},
		{"bent_cigar", "all variables but one count 10⁶ times", func(x []float64) float64 { return 1e6*sphere(x) - (1e6-1)*x[0]*x[0] }},
		{"different_powers", "exponents from 2 to 6", differentPowers},
		{"sharp_ridge", "a ridge that is not smooth", func(x []float64) float64 { return x[0]*x[0] + 100*math.Sqrt(sphere(x[1:])) }},
		{"attractive_sector", "100 times as high on one side of each axis", attractiveSector},
		{"step_ellipsoid", "plateaus", stepEllipsoid},
		{"schaffer_f7", "waves that grow outwards", schaffer},
		{"griewank_rosenbrock", "waves over the bent valley", griewankRosenbrock},
		{"gallagher", "101 peaks, one of them the highest", gallagher},
		{"ackley", "a funnel in waves", ackley},
	}
}

// FunctionNamed returns a test function.
func FunctionNamed(name string) (Function, bool) {
	all := Functions()
	at := slices.IndexFunc(all, func(f Function) bool { return f.Name == name })
	if at < 0 {
		return Function{}, false
	}
	return all[at], true
}

func sphere(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return sum
}

// share returns the position of i among n variables, from 0 to 1.
func share(i, n int) float64 {
	if n < 2 {
		return 0
	}
	return float64(i) / float64(n-1)
}

func ellipsoid(x []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += math.Pow(1e6, share(i, len(x))) * v * v
	}
	return sum
}

// turned rotates by a fixed orthogonal matrix, made from normals by Gram-Schmidt.
func turned(x []float64) []float64 {
	n := len(x)
	draw := keyed(24, uint64(n))
	rows := make([][]float64, n)
	out := make([]float64, n)
	for i := range rows {
		rows[i] = draw.normals(n)
		for _, other := range rows[:i] {
			along := 0.0
			for k := range n {
				along += other[k] * rows[i][k]
			}
			for k := range n {
				rows[i][k] -= along * other[k]
			}
		}
		length := math.Sqrt(sphere(rows[i]))
		for k := range n {
			rows[i][k] /= length
			out[i] += rows[i][k] * x[k]
		}
	}
	return out
}

func rosenbrock(x []float64) float64 {
	sum := 0.0
	for i := range len(x) - 1 {
		a, b := x[i]*x[i]-x[i+1], x[i]-1
		sum += 100*a*a + b*b
	}
	return sum
}

func rastrigin(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v*v + 10*(1-math.Cos(2*math.Pi*v))
	}
	return sum
}

func differentPowers(x []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += math.Pow(math.Abs(v), 2+4*share(i, len(x)))
	}
	return math.Sqrt(sum)
}

func attractiveSector(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		if v > 0 {
			v *= 100
		}
		sum += v * v
	}
	return math.Pow(sum, 0.9)
}

func stepEllipsoid(x []float64) float64 {
	sum, first := 0.0, 0.0
	for i, v := range x {
		if i == 0 {
			first = math.Abs(v) / 1e4
		}
		whole := math.Floor(v + 0.5)
		if math.Abs(v) <= 0.5 {
			whole = math.Floor(10*v+0.5) / 10
		}
		sum += math.Pow(100, share(i, len(x))) * whole * whole
	}
	return 0.1 * max(first, sum)
}

func schaffer(x []float64) float64 {
	if len(x) < 2 {
		return sphere(x)
	}
	sum := 0.0
	for i := range len(x) - 1 {
		s := math.Hypot(x[i], x[i+1])
		wave := math.Sin(50 * math.Pow(s, 0.2))
		sum += math.Sqrt(s) * (1 + wave*wave)
	}
	return sum * sum / float64((len(x)-1)*(len(x)-1))
}

func griewankRosenbrock(x []float64) float64 {
	sum := 0.0
	for i := range len(x) - 1 {
		a, b := x[i]*x[i]-x[i+1], x[i]-1
		s := 100*a*a + b*b
		sum += s/4000 - math.Cos(s) + 1
	}
	return 10 * sum / max(1, float64(len(x)-1))
}

// gallagher has the highest of 101 peaks at a random point between −4 and 4.
func gallagher(x []float64) float64 {
	draw := keyed(101, uint64(len(x)))
	best := 0.0
	for peak := range 101 {
		height := 10.0
		if peak > 0 {
			height = 1.1 + 8*float64(peak-1)/99
		}
		width := math.Pow(1000, draw.uniform())
		distance := 0.0
		for i, v := range x {
			d := v - (8*draw.uniform() - 4)
			distance += math.Pow(width, share(i, len(x))-0.5) * d * d
		}
		best = max(best, height*math.Exp(-distance/2/float64(len(x))))
	}
	return (10 - best) * (10 - best)
}

func ackley(x []float64) float64 {
	waves := 0.0
	for _, v := range x {
		waves += math.Cos(2 * math.Pi * v)
	}
	n := float64(len(x))
	return 20 - 20*math.Exp(-0.2*math.Sqrt(sphere(x)/n)) + math.E - math.Exp(waves/n)
}
