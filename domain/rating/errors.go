package rating

import (
	"fmt"
	"math"
	"strings"
)

// Fault is one thing wrong with the input of a calculation.
type Fault struct {
	Field  string // the option, the player or the result it is about
	Reason string // what was wanted and what was found
}

// Invalid is the error of a calculation without a result, with every fault. No
// function of this package returns infinity or NaN; it returns an Invalid instead.
type Invalid struct {
	What   string // the calculation
	Faults []Fault
}

// Error returns the calculation and its faults.
func (e *Invalid) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	for i, fault := range e.Faults {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + fault.Field + ": " + fault.Reason)
	}
	return b.String()
}

// faults collects what is wrong.
type faults []Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, Fault{field, fmt.Sprintf(format, args...)})
}

// within checks for a finite number between bounds.
func (f *faults) within(field string, value, low, high float64) {
	if !(value >= low && value <= high) {
		f.add(field, "want %v to %v, found %v", low, high, value)
	}
}

func (f faults) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	return &Invalid{what, f}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
