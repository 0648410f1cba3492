package esdbserver

import (
	"encoding/binary"
	"strconv"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto" // it registers the codec of every other message
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields of streams.ReadResp with events.
const (
	fieldEvent = 1 // of ReadResp

	fieldRecorded = 1 // of ReadEvent
	fieldLink     = 2
	fieldCommit   = 3

	fieldID         = 1 // of RecordedEvent
	fieldStream     = 2
	fieldRevision   = 3
	fieldPrepare    = 4
	fieldCommitted  = 5
	fieldMetadata   = 6
	fieldUserMeta   = 7
	fieldData       = 8
	fieldStreamName = 3 // of StreamIdentifier
	fieldStructured = 1 // of UUID
	fieldText       = 2
)

// encoded is an encoded message.
type encoded []byte

// eventCodec passes encoded messages through, lets parts of batches decode themselves, and
// leaves other messages to protobuf. Most messages are events, and to build protobuf
// messages of them took more time than to read them.
type eventCodec struct{ encoding.CodecV2 }

func newEventCodec() eventCodec { return eventCodec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal decodes a received message.
func (c eventCodec) Unmarshal(data mem.BufferSlice, message any) error {
	switch m := message.(type) {
	case *batchPart:
		return m.decode(data)
	case *encoded:
		*m = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, message)
}

// Marshal encodes a message to send.
func (c eventCodec) Marshal(message any) (mem.BufferSlice, error) {
	if e, ok := message.(encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(e)}, nil
	}
	return c.CodecV2.Marshal(message)
}

// encoder encodes events. It reuses its buffers.
type encoder struct {
	structured  bool // ids on the wire
	inner, part []byte
}

// event encodes a streams.ReadResp with an event and the link to it. Either may be nil.
func (c *encoder) event(event, link *record, position uint64) encoded {
	inner := c.inner[:0]
	if event != nil {
		inner = c.appendRecord(inner, fieldRecorded, event)
	}
	if link != nil {
		inner = c.appendRecord(inner, fieldLink, link)
	}
	inner = protowire.AppendTag(inner, fieldCommit, protowire.VarintType)
	inner = protowire.AppendVarint(inner, position)
	c.inner = inner
	message := make([]byte, 0, 1+protowire.SizeBytes(len(inner)))
	message = protowire.AppendTag(message, fieldEvent, protowire.BytesType)
	return protowire.AppendBytes(message, inner)
}

func (c *encoder) appendRecord(dst []byte, field protowire.Number, r *record) []byte {
	part := c.part[:0]
	part = c.appendID(part, r)
	part = protowire.AppendTag(part, fieldStream, protowire.BytesType)
	part = protowire.AppendVarint(part, uint64(protowire.SizeTag(fieldStreamName)+protowire.SizeBytes(len(r.stream))))
	part = appendText(part, fieldStreamName, r.stream)
	for _, number := range [...]struct {
		field protowire.Number
		value uint64
	}{{fieldRevision, r.revision}, {fieldPrepare, r.position}, {fieldCommitted, r.position}} {
		if number.value != 0 {
			part = protowire.AppendTag(part, number.field, protowire.VarintType)
			part = protowire.AppendVarint(part, number.value)
		}
	}
	content := contentJSON
	if !r.JSON {
		content = contentBinary
	}
	var digits [20]byte
	created := strconv.AppendInt(digits[:0], r.created.UnixMicro()*10, 10)
	part = appendEntry(part, keyType, r.Type)
	part = appendEntry(part, keyContentType, content)
	part = appendEntry(part, keyCreated, created)
	if len(r.UserMeta) > 0 {
		part = protowire.AppendTag(part, fieldUserMeta, protowire.BytesType)
		part = protowire.AppendBytes(part, r.UserMeta)
	}
	if len(r.Data) > 0 {
		part = protowire.AppendTag(part, fieldData, protowire.BytesType)
		part = protowire.AppendBytes(part, r.Data)
	}
	c.part = part
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendBytes(dst, part)
}

func (c *encoder) appendID(dst []byte, r *record) []byte {
	var id [64]byte
	text := id[:0]
	if c.structured {
		halves := make([]byte, 0, 24)
		for i, half := range [...]uint64{binary.BigEndian.Uint64(r.ID[:8]), binary.BigEndian.Uint64(r.ID[8:])} {
			if half != 0 {
				halves = protowire.AppendTag(halves, protowire.Number(i+1), protowire.VarintType)
				halves = protowire.AppendVarint(halves, half)
			}
		}
		text = protowire.AppendTag(text, fieldStructured, protowire.BytesType)
		text = protowire.AppendBytes(text, halves)
	} else {
		text = appendText(text, fieldText, r.ID.String())
	}
	dst = protowire.AppendTag(dst, fieldID, protowire.BytesType)
	return protowire.AppendBytes(dst, text)
}

func appendText[T string | []byte](dst []byte, field protowire.Number, text T) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// appendEntry encodes an entry of the metadata map.
func appendEntry[T string | []byte](dst []byte, key string, value T) []byte {
	dst = protowire.AppendTag(dst, fieldMetadata, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(2*protowire.SizeTag(1)+protowire.SizeBytes(len(key))+protowire.SizeBytes(len(value))))
	dst = appendText(dst, 1, key)
	return appendText(dst, 2, value)
}
