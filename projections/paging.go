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

// ScannedPerPage bounds the ends that one page looks at.
const ScannedPerPage = 20000
