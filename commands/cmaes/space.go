package cmaes

import (
	"fmt"
	"math"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaes"
	"github.com/ringrift/rift/domain/cmaesrun"
)

// spread converts a space to what the search takes: the initial point, the bounds,
// which variables are integers, and a quarter of each range as its scale.
func (c Start) spread(objective *cmaesrun.Objective, bounds *[]cmaes.Bound, scales *[]float64) (Start, []domain.Fault) {
	var faults []domain.Fault
	fault := func(field, format string, values ...any) {
		faults = append(faults, domain.Fault{Field: field, Reason: fmt.Sprintf(format, values...)})
	}
	if len(c.X0) > 0 {
		fault("x0", "want none beside a space, which says where to start")
	}
	if len(*bounds) > 0 {
		fault("bounds", "want none beside a space, which has low and high")
	}
	if len(c.Integers) > 0 {
		fault("integers", "want none beside a space, whose variables say that they are whole numbers")
	}
	if len(objective.Variables) > 0 {
		fault("objective.variables", "want none beside a space, whose variables have names")
	}
	c.X0, c.Integers, *bounds, objective.Variables = nil, nil, nil, nil
	var names []string
	for i, v := range c.Space {
		low, high, start := v.Low, v.High, v.Low/2+v.High/2
		if v.Start != nil {
			start = *v.Start
		} else if v.Integer {
			start = math.RoundToEven(start)
		}
		if v.Name != "" {
			names = append(names, v.Name)
		}
		if v.Integer {
			c.Integers = append(c.Integers, i)
		}
		c.X0 = append(c.X0, start)
		*bounds = append(*bounds, cmaes.Bound{Low: &low, High: &high})
		*scales = append(*scales, max(high/4-low/4, 1e-100))
	}
	switch len(names) {
	case 0:
	case len(c.Space):
		objective.Variables = names
	default:
		fault("space", "want names of all %d variables or of none, found %d", len(c.Space), len(names))
	}
	if c.Sigma0 == 0 {
		c.Sigma0 = 1
	}
	return c, faults
}

// ofSpace renames the fields in faults from those of the search to the variables of
// the space.
func ofSpace(faults []domain.Fault) []domain.Fault {
	for i, fault := range faults {
		for _, made := range []string{"bounds[", "x0["} {
			if rest, found := strings.CutPrefix(fault.Field, made); found {
				faults[i].Field = "space[" + rest
			}
		}
	}
	return faults
}
