package play

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
)

// player chooses moves. It is used for one seat of one game at a time.
type player interface {
	move(*position, *rand.Rand) int16
	swaps(*position, *rand.Rand) bool // whether to take over the first stone
}

// Spec describes how a player plays.
type Spec struct {
	Kind     string // random, heuristic, mcts
	Playouts int    // of mcts
	Weights  *Weights
}

// The kinds of players.
const (
	kindRandom    = "random"
	kindHeuristic = "heuristic"
	kindMCTS      = "mcts"
)

const specForms = "random, heuristic[:w1,…,w8] or mcts:<playouts>[:w1,…,w8]"

// ParseSpec parses a spec. Weights are separated by commas, or by underscores where
// a name cannot contain a comma.
func ParseSpec(text string) (Spec, error) {
	kind, rest, more := strings.Cut(text, ":")
	spec := Spec{Kind: kind}
	wanted := func() error {
		return domain.Errorf(domain.Invalid, "want %s, found %q", specForms, domain.Clip(text, 64))
	}
	switch kind {
	case kindRandom:
		if more {
			return Spec{}, wanted()
		}
		return spec, nil
	case kindHeuristic:
		spec.Weights = &DefaultWeights
		if !more {
			return spec, nil
		}
	case kindMCTS:
		var count string
		count, rest, more = strings.Cut(rest, ":")
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 || n > MaxPlayouts {
			return Spec{}, domain.Errorf(domain.Invalid, "want mcts with 1 to %d playouts, found %q", MaxPlayouts, domain.Clip(text, 64))
		}
		spec.Playouts = n
		if !more {
			return spec, nil
		}
	default:
		return Spec{}, wanted()
	}
	weights, err := parseWeights(rest)
	spec.Weights = weights
	return spec, err
}

func parseWeights(text string) (*Weights, error) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '_' })
	if len(parts) != len(WeightNames) {
		return nil, domain.Errorf(domain.Invalid, "want %d weights (%s), found %d", len(WeightNames), strings.Join(WeightNames[:], ", "), len(parts))
	}
	var w Weights
	for i, part := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || math.IsNaN(v) || math.Abs(v) > maxWeight {
			return nil, domain.Errorf(domain.Invalid, "weight %s: want a number from -%g to %g, found %q", WeightNames[i], maxWeight, maxWeight, domain.Clip(part, 32))
		}
		w[i] = v
	}
	return &w, nil
}

// String returns the full spec, with every weight.
func (s Spec) String() string {
	text := s.Kind
	if s.Kind == kindMCTS {
		text += ":" + strconv.Itoa(s.Playouts)
	}
	if s.Weights == nil {
		return text
	}
	for i, w := range s.Weights {
		text += fmt.Sprintf("%c%s", ":,"[min(i, 1)], strconv.FormatFloat(w, 'g', -1, 64))
	}
	return text
}

func (s Spec) player() player {
	switch s.Kind {
	case kindHeuristic:
		return &heuristic{judge: judge{weights: *s.Weights}}
	case kindMCTS:
		m := &mcts{playouts: s.Playouts}
		if s.Weights != nil {
			m.guide = &judge{weights: *s.Weights}
		}
		return m
	}
	return byChance{}
}

// byChance plays a random cell.
type byChance struct{}

func (byChance) move(p *position, random *rand.Rand) int16 {
	at := random.IntN(p.free)
	for c, owner := range p.owner {
		if owner == empty {
			if at == 0 {
				return int16(c)
			}
			at--
		}
	}
	return -1
}

func (byChance) swaps(_ *position, random *rand.Rand) bool { return random.IntN(2) == 0 }
