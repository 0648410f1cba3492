package projections

import (
	"fmt"

	"github.com/ringrift/rift/domain"
)

// Limits of a page.
const (
	defaultPage = 100
	MaxPage     = 1000
)

// Page returns the size of a page: the requested limit, 0 for the default, at most
// MaxPage.
func Page(limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultPage, nil
	case limit < 0 || limit > MaxPage:
		return 0, domain.Faulty("query", []domain.Fault{{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", MaxPage, limit)}})
	}
	return limit, nil
}

// NoQuestion is the empty query.
type NoQuestion struct{}

// ScannedPerPage limits the rows that are read for one page.
const ScannedPerPage = 20000

// PageOf reads a page of a table: at most limit rows (see Page), converted by take,
// without those for which take returns false. next is the row that the next page
// begins with; its key is empty if there is none.
func PageOf[R, S any](v View, t Table[R], span Span, limit int, take func(R) (S, bool)) (page []S, next Entry[R], err error) {
	if limit, err = Page(limit); err != nil {
		return nil, next, err
	}
	page = []S{}
	seen := 0
	for entry, err := range t.Scan(v, span) {
		if err != nil {
			return nil, next, err
		}
		row, taken := take(entry.Row)
		if seen++; taken && len(page) == limit || seen > ScannedPerPage {
			return page, entry, nil
		}
		if taken {
			page = append(page, row)
		}
	}
	return page, next, nil
}

// Every is a take that keeps every row unchanged.
func Every[R any](row R) (R, bool) { return row, true }
