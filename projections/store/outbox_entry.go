package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"github.com/ringrift/rift/domain"
)

// An outbox entry is stored without what follows from its key and the event's id:
//
//	 0 u8  entryLayout; '{' begins an entry of format 1, which was JSON
//	 1     id of the event, 16 bytes
//	17     command type and correlation, each a uvarint length and the text;
//	       no correlation means the event's id
//	…      the command, to the end
const entryLayout = 1

const entryFixed = 17

func (e *OutboxEntry) appendTo(dst []byte) []byte {
	dst = append(append(dst, entryLayout), e.EventID[:]...)
	for _, text := range [...]string{e.CommandType, e.Correlation} {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	return append(dst, e.Command...)
}

// derive sets the fields that derive from the event and the reactor.
func (e *OutboxEntry) derive() {
	e.Causation = e.EventID.String()
	if e.Correlation == "" {
		e.Correlation = e.Causation
	}
	e.CommandID = CommandID(e.EventID, e.Reactor, e.Index)
}

// decodeEntry reads a stored entry. The entry shares memory with value.
func decodeEntry(key, value []byte) (e OutboxEntry, err error) {
	if len(value) > 0 && value[0] == '{' {
		if err := json.Unmarshal(value, &e); err != nil {
			return e, domain.Errorf(domain.Corrupt, "outbox entry %q: %w", key, err)
		}
		return e, nil
	}
	place, whole := cursorOf(key)
	if !whole || len(value) < entryFixed || value[0] != entryLayout {
		return e, domain.Errorf(domain.Corrupt, "outbox entry %q: want layout %d, found %x", key, entryLayout, value[:min(len(value), entryFixed)])
	}
	e.Position, e.Reactor, e.Index = place.Position, place.Reactor, place.Index
	copy(e.EventID[:], value[1:entryFixed])
	rest := value[entryFixed:]
	for _, text := range [...]*string{&e.CommandType, &e.Correlation} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return e, domain.Errorf(domain.Corrupt, "outbox entry %q: a text ends after the entry", key)
		}
		*text = string(rest[n : n+int(length)])
		rest = rest[n+int(length):]
	}
	e.Command = rest
	e.derive()
	return e, nil
}

// cursorOf reads the key of an entry.
func cursorOf(key []byte) (c Cursor, ok bool) {
	const position, index = 1 + 8, 4
	if len(key) < position+1+index {
		return c, false
	}
	reactor, last := key[position:len(key)-index-1], key[len(key)-index-1]
	if last != 0 || bytes.IndexByte(reactor, 0) >= 0 {
		return c, false
	}
	return Cursor{
		Position: domain.Position(binary.BigEndian.Uint64(key[1:])), Reactor: string(reactor),
		Index: int(binary.BigEndian.Uint32(key[len(key)-index:])),
	}, true
}
