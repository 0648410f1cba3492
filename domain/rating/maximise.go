package rating

import "math"

// problem is the graph over which a likelihood is maximised.
type problem struct {
	names     []string
	fixed     []float64 // natural strength of a fixed player, NaN: free
	component []int
	ends      [][2]int32 // players of each edge
}

func (t *table) problem() *problem {
	p := &problem{names: t.names, fixed: t.fixed, component: t.component, ends: make([][2]int32, len(t.pairs))}
	for k := range t.pairs {
		p.ends[k] = [2]int32{t.pairs[k].i, t.pairs[k].j}
	}
	return p
}

// solution is the maximum of a likelihood.
type solution struct {
	x, shared  []float64
	value      float64
	iterations int
	info       *information
	graph      *laplacian
	factor     *envelope   // of the graph, if factoring is cheap enough
	residual   float64     // tolerance of solving for Newton's step
	cross      [][]float64 // (D − A)⁻¹ border, free players
	schur      [][]float64 // inverse of the Schur complement of the shared parameters
}

// Limits of Newton's method: a strength beyond maxStrength (e^60 : 1) means that
// there is no finite maximum; stepBudget is how many multiplications a
// factorisation may take per step.
const (
	stepBudget  = 1e8
	maxNewton   = 200
	maxStrength = 60
	newtonDone  = 1e-11
)

// maximise finds the maximum by Newton's method with step halving.
func maximise(what string, model likelihood, p *problem, shared []float64) (*solution, error) {
	n := len(p.names)
	s := &solution{x: make([]float64, n), shared: shared, info: newInformation(n, len(p.ends), len(shared))}
	s.graph = newLaplacian(n, p.ends, func(i int) bool { return !math.IsNaN(p.fixed[i]) }, p.component)
	if e, cost := arrange(s.graph); cost <= stepBudget {
		s.factor = e
	}
	level := componentLevels(p)
	for i := range s.x {
		s.x[i] = level[p.component[i]]
		if !math.IsNaN(p.fixed[i]) {
			s.x[i] = p.fixed[i]
		}
	}
	s.value = model.evaluate(s.x, s.shared, s.info)
	s.residual = 1e-2
	for s.iterations = 1; s.iterations <= maxNewton; s.iterations++ {
		step, sharedStep, err := s.direction(what)
		if err != nil {
			return nil, err
		}
		moved := s.advance(model, step, sharedStep)
		if err := s.runaway(what, p); err != nil {
			return nil, err
		}
		s.residual = min(1e-2, max(1e-11, moved*moved/100))
		if moved < newtonDone {
			if _, _, err := s.direction(what); err != nil {
				return nil, err
			}
			return s, nil
		}
	}
	return nil, &Invalid{what, []Fault{{"results", "Newton's method finds no maximum: add a prior"}}}
}

// componentLevels returns the initial strengths of a component: the mean of its
// fixed players.
func componentLevels(p *problem) []float64 {
	components := 0
	for _, c := range p.component {
		components = max(components, c+1)
	}
	level, count := make([]float64, components), make([]float64, components)
	for i, c := range p.component {
		if !math.IsNaN(p.fixed[i]) {
			level[c] += p.fixed[i]
			count[c]++
		}
	}
	for c := range level {
		if count[c] > 0 {
			level[c] /= count[c]
		}
	}
	return level
}

// direction computes Newton's step, and keeps the parts that covariances need.
func (s *solution) direction(what string) (step, shared []float64, err error) {
	s.graph.set(s.info.weights)
	solve := func(b []float64) []float64 { return s.graph.solve(b, s.residual) }
	if s.factor != nil && s.factor.factor(s.graph) {
		solve = func(b []float64) []float64 {
			s.graph.centre(b)
			x := s.factor.solve(b)
			s.graph.centre(x)
			return x
		}
	}
	step = solve(s.graph.rows(s.info.gradient))
	k := len(s.shared)
	s.cross = make([][]float64, k)
	complement := make([][]float64, k)
	rest := append([]float64(nil), s.info.shared...)
	borders := make([][]float64, k)
	for a := range k {
		borders[a] = s.graph.rows(s.info.border[a])
		s.cross[a] = solve(borders[a])
	}
	for a := range k {
		complement[a] = make([]float64, k)
		for b := range k {
			complement[a][b] = s.info.corner[a][b] - dot(borders[a], s.cross[b])
		}
		rest[a] -= dot(borders[a], step)
	}
	inverse, ok := invertSmall(complement, s.info.corner)
	if !ok {
		return nil, nil, &Invalid{what, []Fault{{"results", "they do not tell the advantage of a seat or the draw parameter from the strengths: give it instead of fitting it, or add a prior"}}}
	}
	s.schur = inverse
	shared = make([]float64, k)
	for a := range k {
		for b := range k {
			shared[a] += inverse[a][b] * rest[b]
		}
	}
	for a := range k {
		for i := range step {
			step[i] -= s.cross[a][i] * shared[a]
		}
	}
	return step, shared, nil
}

// invertSmall inverts a positive definite matrix of a few rows; it returns false if
// the matrix is numerically singular relative to scale.
func invertSmall(m, scale [][]float64) ([][]float64, bool) {
	k := len(m)
	a := make([][]float64, k)
	for i := range k {
		a[i] = make([]float64, 2*k)
		copy(a[i], m[i])
		a[i][k+i] = 1
	}
	for i := range k {
		if !(a[i][i] > 1e-10*scale[i][i]) {
			return nil, false
		}
		for j := range k {
			if j == i {
				continue
			}
			f := a[j][i] / a[i][i]
			for c := range a[j] {
				a[j][c] -= f * a[i][c]
			}
		}
	}
	out := make([][]float64, k)
	for i := range k {
		out[i] = make([]float64, k)
		for j := range k {
			out[i][j] = a[i][k+j] / a[i][i]
		}
	}
	return out, true
}

// advance makes a step, halved until the likelihood does not decrease, and returns
// the largest change of a parameter.
func (s *solution) advance(model likelihood, step, shared []float64) float64 {
	largest := 0.0
	for _, d := range step {
		largest = max(largest, math.Abs(d))
	}
	for _, d := range shared {
		largest = max(largest, math.Abs(d))
	}
	// A long step on a flat likelihood may overshoot the maximum by far.
	length := min(1, 8/max(largest, 1e-300))
	slack := 1e-13 * (1 + math.Abs(s.value))
	x, sh := append([]float64(nil), s.x...), append([]float64(nil), s.shared...)
	for range 60 {
		for k, i := range s.graph.player {
			x[i] = s.x[i] + length*step[k]
		}
		for a := range sh {
			sh[a] = s.shared[a] + length*shared[a]
		}
		if value := model.evaluate(x, sh, s.info); value >= s.value-slack {
			s.x, s.shared, s.value = x, sh, value
			return length * largest
		}
		length /= 2
	}
	s.value = model.evaluate(s.x, s.shared, s.info)
	return 0
}

// runaway returns an error for strengths that no games could show.
func (s *solution) runaway(what string, p *problem) error {
	var f faults
	level := componentLevels(p)
	for _, i := range s.graph.player {
		if !(math.Abs(s.x[i]-level[p.component[i]]) < maxStrength) {
			f.add("player "+p.names[i], "the results put no bound on its distance from the others: add a prior")
			if len(f) == 5 {
				break
			}
		}
	}
	for _, v := range s.shared {
		if !(math.Abs(v) < maxStrength) {
			f.add("results", "they put no bound on the advantage or on the draw parameter: give it instead of fitting it")
			break
		}
	}
	return f.err(what)
}
