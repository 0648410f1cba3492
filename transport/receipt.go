package transport

import (
	"strconv"

	"github.com/ringrift/rift/domain"
)

// EventRef is an event in the answer to a command. Data is set on a dry
// run, whose events cannot be looked up.
type EventRef struct {
	Type     string          `json:"type"`
	Stream   domain.StreamID `json:"stream"`
	Revision domain.Revision `json:"revision"`
	Position domain.Position `json:"position"`
}

func eventRefs(events []domain.Envelope) []EventRef {
	refs := make([]EventRef, len(events))
	for i, e := range events {
		refs[i] = EventRef{Type: e.Type, Stream: e.Stream, Revision: e.Revision, Position: e.Position}
	}
	return refs
}

// receiptKeys lists the keys of every command's answer; a result must not
// use them.
const receiptKeys = "position,events,duplicate,dry_run,refused"

// appendReceipt appends the answer to a command: position and events, then
// the members of its result. On a dry run the events contain their data,
// and refused is the reason why the command would be refused.
func (x *exchange) appendReceipt(dst []byte, refused error) ([]byte, error) {
	result := &x.reply.result
	dst = append(dst, `{"position":`...)
	dst = strconv.AppendUint(dst, uint64(result.Position), 10)
	dst = append(dst, `,"events":[`...)
	for i := range result.Events {
		e := &result.Events[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"type":`...)
		dst = appendString(dst, e.Type)
		dst = append(dst, `,"stream":`...)
		dst = appendString(dst, string(e.Stream))
		dst = append(dst, `,"revision":`...)
		dst = strconv.AppendInt(dst, int64(e.Revision), 10)
		if x.call.Dry {
			dst = append(dst, `,"data":`...)
			dst = appendData(dst, e.Data)
		} else {
			dst = append(dst, `,"position":`...)
			dst = strconv.AppendUint(dst, uint64(e.Position), 10)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	var err error
	if dst, err = appendMembers(dst, result.Answer, true, receiptKeys); err != nil {
		return dst, err
	}
	if dst, err = appendMembers(dst, x.reply.extra, true, receiptKeys); err != nil {
		return dst, err
	}
	if result.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	if x.call.Dry {
		dst = append(dst, `,"dry_run":true`...)
		if refused != nil {
			dst = append(dst, `,"refused":`...)
			if dst, err = appendJSON(dst, x.problemOf(refused)); err != nil {
				return dst, err
			}
		}
	}
	return append(dst, '}', '\n'), nil
}

func appendData(dst, data []byte) []byte {
	if len(data) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, data...)
}
