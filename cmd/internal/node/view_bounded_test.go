package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/ringrift/rift/projections"
)

// longView has a table without end.
type longView struct {
	projections.View
	read int
}

func (v *longView) Get(_, _ string) (*projections.Cell, bool, error) {
	v.read++
	return nil, false, nil
}

func (v *longView) Scan(string, projections.Span) iter.Seq2[projections.Row, error] {
	return func(yield func(projections.Row, error) bool) {
		for more := true; more; {
			v.read++
			more = yield(projections.Row{Key: fmt.Sprint(v.read)}, nil)
		}
	}
}

// A query whose caller has gone away, or whose time is over, stops reading, whichever
// method it reads with.
func TestQuestionsEndWithTheirCaller(t *testing.T) {
	for name, ask := range map[string]func(*boundedView) error{
		"a scan": func(v *boundedView) error {
			for _, err := range v.Scan("t", projections.Span{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"rows one by one": func(v *boundedView) error {
			for {
				if _, _, err := v.Get("t", "k"); err != nil {
					return err
				}
			}
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		long := &longView{}
		cancel()
		if err := ask(bounded(ctx, long)); !errors.Is(err, context.Canceled) || long.read > lookEvery {
			t.Errorf("%s: found %v after %d rows, want it ended within %d", name, err, long.read, lookEvery)
		}
	}
}
