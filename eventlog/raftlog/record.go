package raftlog

import (
	"encoding/binary"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// AppendRecord encodes an event for a node that copies the log, and for backups, which keep
// this form for years:
//
//	uvarint position, varint revision, text stream, then the event as in an entry
func AppendRecord(dst []byte, e *domain.Envelope) []byte {
	dst = binary.AppendUvarint(dst, uint64(e.Position))
	dst = binary.AppendVarint(dst, int64(e.Revision))
	dst = appendText(dst, e.Stream)
	return appendEvent(dst, &eventlog.Proposed{ID: e.ID, Type: e.Type, Version: e.Version, Time: e.Time, Meta: e.Meta, Data: e.Data})
}

// MaxRecordBytes is the size of an encoded event at most.
const MaxRecordBytes = eventlog.MaxEventBytes + 1<<20

// DecodeRecord decodes an event of AppendRecord. The payload shares memory with record.
func DecodeRecord(record []byte) (domain.Envelope, error) {
	d := decoder{left: record}
	e := domain.Envelope{Position: domain.Position(d.uvarint()), Revision: domain.Revision(d.varint()), Stream: domain.StreamID(d.text())}
	var event eventlog.Proposed
	d.event(&event)
	if d.bad || len(d.left) > 0 {
		return domain.Envelope{}, domain.Errorf(domain.Corrupt, "record of a log that is copied: its %d bytes are no event", len(record))
	}
	e.ID, e.Type, e.Version, e.Time, e.Meta, e.Data = event.ID, event.Type, event.Version, event.Time, event.Meta, event.Data
	return e, nil
}
