//go:build unix

package worker

import (
	"bytes"
	"encoding/json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/match"
)

// games returns the answer to an item with games: the result that the command
// named, or all that it printed. An answer that does not match the games of the
// payload is an error, and none of its games count. A named result may have another
// form, such as counts of games, which is passed on unchecked.
func (a *attempt) games(result json.RawMessage) (json.RawMessage, error) {
	named := result != nil
	if !named {
		a.output.mu.Lock()
		printed := a.output.whole
		a.output.mu.Unlock()
		if len(printed) > a.MaxResult {
			return nil, domain.Errorf(domain.TooLarge, "answer: want at most %d bytes, found more", a.MaxResult)
		}
		var ok bool
		if result, ok = usable(withoutProgress(printed)); !ok {
			return nil, domain.Errorf(domain.Invalid, "answer: want one JSON object on standard output, found %.60q", printed)
		}
	}
	if named && !match.Asks(result) {
		return result, nil
	}
	games, _, err := match.Games(a.item.Payload)
	if err != nil {
		return result, nil // checked by whoever added the item
	}
	if _, err := match.Answers(result, games); err != nil {
		return nil, err
	}
	return result, nil
}

// withoutProgress removes the lines that report progress.
func withoutProgress(printed []byte) []byte {
	var rest []byte
	for line := range bytes.Lines(printed) {
		if !bytes.HasPrefix(line, []byte(progressWord)) {
			rest = append(rest, line...)
		}
	}
	return rest
}
