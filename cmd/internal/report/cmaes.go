package report

import (
	"cmp"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/projections"
	cmaesview "github.com/ringrift/rift/projections/cmaes"
)

// Searches is the fold of a report on searches by CMA-ES, from the read model of
// /cmaes/status.
type Searches struct{ area }

// NewSearches returns a fold without events. Runs without an event in the window are left
// out of the report.
func NewSearches(catalog *domain.Catalog, window Window) (*Searches, error) {
	a, err := newArea(catalog, window, cmaesview.Projection(), cmaesrun.Events())
	if err != nil {
		return nil, err
	}
	return &Searches{a}, nil
}

// SearchReport is a report on searches.
type SearchReport struct {
	Runs        []cmaesview.Status     `json:"runs"` // failed ones first, then running ones
	One         *cmaesview.Status      `json:"one,omitempty"`
	Generations []cmaesview.Generation `json:"generations,omitempty"` // of One
	Log         Footer                 `json:"log"`
}

// Report returns the report on all searches, with one in full: the named or the only one.
func (f *Searches) Report(run string) (report SearchReport, err error) {
	err = f.models.View(func(v projections.View) error {
		for key := range f.touched {
			found, err := cmaesview.StatusOf(v, cmaesview.OneRun{Run: key})
			if domain.CodeOf(err) == domain.NotFound {
				continue // the log begins after the run
			}
			if err != nil {
				return err
			}
			report.Runs = append(report.Runs, found.Run)
		}
		slices.SortFunc(report.Runs, func(a, b cmaesview.Status) int {
			return cmp.Or(cmp.Compare(urge(a.State), urge(b.State)), cmp.Compare(a.Run, b.Run))
		})
		if run == "" && len(report.Runs) == 1 {
			run = string(report.Runs[0].Run)
		}
		if run == "" {
			return nil
		}
		one, err := cmaesview.StatusOf(v, cmaesview.OneRun{Run: run})
		if err != nil {
			return err
		}
		report.One = &one.Run
		report.Generations, err = allGenerations(v, run)
		return err
	})
	report.Log = f.footer()
	return report, err
}

func urge(state cmaesrun.Phase) int {
	return slices.Index([]cmaesrun.Phase{cmaesrun.Failed, cmaesrun.Running, cmaesrun.Stopped, cmaesrun.Done}, state)
}

func allGenerations(v projections.View, run string) (all []cmaesview.Generation, err error) {
	for from := 0; ; {
		page, err := cmaesview.History(v, cmaesview.ManyGenerations{Run: run, From: from, Limit: projections.MaxPage})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Generations...)
		if page.Next == nil {
			return all, nil
		}
		from = *page.Next
	}
}
