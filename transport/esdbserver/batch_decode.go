package esdbserver

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The numbers of the fields of streams.BatchAppendReq with events.
const (
	fieldProposed = 3 // of BatchAppendReq

	fieldProposedID   = 1 // of ProposedMessage
	fieldProposedMeta = 2
	fieldProposedUser = 3
	fieldProposedData = 4
)

// batchPart is a streams.BatchAppendReq. Its events are decoded by hand, because protobuf
// makes five objects and a map for each, which took more time than the log's append.
type batchPart struct {
	head   streams.BatchAppendReq // all but the events
	events []proposal
	size   int    // bytes of the message, with which events may share memory
	rest   []byte // encoded fields other than events
}

// proposal is a proposed event; err says why it is invalid.
type proposal struct {
	foreign.Event
	err error
}

// decode decodes a message like protobuf, into memory that it does not share with message.
func (p *batchPart) decode(message mem.BufferSlice) error {
	bytes := message.Materialize()
	p.size, p.events, p.rest = len(bytes), p.events[:0], p.rest[:0]
	for len(bytes) > 0 {
		number, kind, n := protowire.ConsumeTag(bytes)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, bytes[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		if number != fieldProposed || kind != protowire.BytesType {
			p.rest = append(p.rest, bytes[:n+size]...)
		} else {
			value, _ := protowire.ConsumeBytes(bytes[n:])
			if err := p.event(value); err != nil {
				return err
			}
		}
		bytes = bytes[n+size:]
	}
	return proto.Unmarshal(p.rest, &p.head)
}

// event decodes a ProposedMessage.
func (p *batchPart) event(bytes []byte) error {
	var e proposal
	var id []byte
	var described bool
	for len(bytes) > 0 {
		number, kind, n := protowire.ConsumeTag(bytes)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, bytes[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		var value []byte
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(bytes[n:])
		} else {
			number = 0 // not one of these fields
		}
		bytes = bytes[n+size:]
		switch int32(number) {
		case fieldProposedID:
			id = append(id[:len(id):len(id)], value...) // protobuf merges repeated parts of a message
		case fieldProposedMeta:
			key, text, err := mapEntry(value)
			if err != nil {
				return err
			}
			switch string(key) {
			case keyType:
				e.Type = p.typeNamed(text)
			case keyContentType:
				e.JSON, described = string(text) == contentJSON, true
			}
		case fieldProposedUser:
			e.UserMeta = value
		case fieldProposedData:
			e.Data = value
		}
	}
	if e.ID, e.err = decodeID(id); e.err != nil && domain.CodeOf(e.err) != domain.Invalid {
		return e.err
	}
	if err := checkProposed(&e.Event, described); err != nil {
		e.err = err
	}
	p.events = append(p.events, e)
	return nil
}

// typeNamed returns a type's name as a string, shared with the previous event's if equal.
func (p *batchPart) typeNamed(name []byte) string {
	if n := len(p.events); n > 0 && p.events[n-1].Type == string(name) {
		return p.events[n-1].Type
	}
	return string(name)
}

// mapEntry decodes an entry of a map of strings.
func mapEntry(bytes []byte) (key, value []byte, err error) {
	for len(bytes) > 0 {
		number, kind, n := protowire.ConsumeTag(bytes)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, bytes[n:])
		if size < 0 {
			return nil, nil, protowire.ParseError(size)
		}
		if kind == protowire.BytesType && (number == 1 || number == 2) {
			text, _ := protowire.ConsumeBytes(bytes[n:])
			if !utf8.Valid(text) {
				return nil, nil, invalid("event metadata: want UTF-8")
			}
			if number == 1 {
				key = text
			} else {
				value = text
			}
		}
		bytes = bytes[n+size:]
	}
	return key, value, nil
}

// textIDSize is the length of a UUID message with a text: its tag, its length, the text.
const textIDSize = 2 + 36

// decodeID decodes a UUID message in the forms that clients write, and other forms with
// protobuf, whose errors have no code.
func decodeID(message []byte) (domain.EventID, error) {
	if len(message) == textIDSize && message[0] == fieldText<<3|byte(protowire.BytesType) && message[1] == textIDSize-2 {
		if id, err := domain.ParseEventID(string(message[2:])); err == nil && !id.IsZero() {
			return id, nil
		}
	}
	if id, plain := structuredID(message); plain {
		return id, nil
	}
	var id shared.UUID
	if err := proto.Unmarshal(message, &id); err != nil {
		return domain.EventID{}, err
	}
	return parseUUID(&id)
}

// structuredID decodes a UUID message that has each of two halves once.
func structuredID(message []byte) (id domain.EventID, plain bool) {
	if len(message) < 2 || message[0] != fieldStructured<<3|byte(protowire.BytesType) || int(message[1]) != len(message)-2 {
		return id, false
	}
	rest := message[2:]
	for i := range 2 {
		if len(rest) == 0 || rest[0] != byte(i+1)<<3|byte(protowire.VarintType) {
			return id, false
		}
		half, n := protowire.ConsumeVarint(rest[1:])
		if n < 0 {
			return id, false
		}
		binary.BigEndian.PutUint64(id[8*i:], half)
		rest = rest[1+n:]
	}
	return id, len(rest) == 0 && !id.IsZero()
}
