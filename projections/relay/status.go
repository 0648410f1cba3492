package relay

import (
	"cmp"
	"slices"

	"github.com/ringrift/rift/projections"
)

func sortByPosition(rows []CallRow) {
	slices.SortFunc(rows, func(a, b CallRow) int { return cmp.Compare(a.Position, b.Position) })
}

// MaxMailboxes limits the mailboxes of one answer.
const MaxMailboxes = 1024

// Mailboxes returns the outcomes of the calls to each node, by name.
func Mailboxes(v projections.View) ([]MailboxRow, error) {
	var rows []MailboxRow
	for entry, err := range MailboxesTable.Scan(v, projections.Span{}) {
		if err != nil {
			return nil, err
		}
		if rows = append(rows, entry.Row); len(rows) == MaxMailboxes {
			break
		}
	}
	return rows, nil
}
