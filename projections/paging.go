package projections

import (
	"fmt"

	"github.com/ringrift/rift/domain"
)

// The bounds of a page.
const (
	defaultPage = 100
	MaxPage     = 1000
)

// Page is the size of a page: the limit asked for, 0 for the default, at most MaxPage.
func Page(limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultPage, nil
	case limit < 0 || limit > MaxPage:
		return 0, domain.Faulty("query", []domain.Fault{{Field: "limit", Reason: fmt.Sprintf("want 1 to %d, found %d", MaxPage, limit)}})
	}
	return limit, nil
}

// NoQuestion asks for the whole.
type NoQuestion struct{}

// ScannedPerPage bounds the rows that one page looks at.
const ScannedPerPage = 20000

// PageOf reads a page of a table: at most limit (Page) of its rows, as take makes
// them, without those that take leaves out. The next page begins with the row that is
// answered; its key is empty when there is none.
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

// Every takes every row of a page as it is.
func Every[R any](row R) (R, bool) { return row, true }
