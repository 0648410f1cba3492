package raft

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// A stream of messages is the body of one POST: for each message its length, when it was
// sent in milliseconds since 1970, the message as protobuf, and its signature, which covers
// how many were sent before it. The answer is lines of JSON, see streamAnswer. A message
// that was not taken when the stream ends may be lost; Raft sends it again.

// streamAnswer is a line of the answer to a stream of messages.
type streamAnswer struct {
	Taken   uint64             `json:"taken"`             // how many messages of the stream were taken
	Problem *transport.Problem `json:"problem,omitempty"` // why the stream ends
}

// maxAnswerLine limits a line of the answer.
const maxAnswerLine = 64 << 10

// message returns the signature of a message of a stream.
func (s Seal) message(part, at uint64, body []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	_, _ = io.WriteString(mac, "rift-message-1\n")
	_, _ = mac.Write(s.request)
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, part))
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, at))
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

// appendMessage appends a message and its signature to a stream.
func appendMessage(to []byte, seal Seal, part uint64, sent time.Time, body []byte) []byte {
	at := uint64(sent.UnixMilli())
	to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(len(body))), at)
	return append(append(to, body...), seal.message(part, at, body)...)
}

// messageReader reads a stream of messages.
type messageReader struct {
	in   *bufio.Reader
	seal Seal
	now  func() time.Time
	part uint64
	buf  bytes.Buffer
}

// next returns the next message, which is valid until the following call. io.EOF is the end
// of the stream.
func (m *messageReader) next() ([]byte, error) {
	size, err := binary.ReadUvarint(m.in)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, cutShort(err)
	}
	if size > maxAppend {
		return nil, domain.Errorf(domain.TooLarge, "stream of messages: want messages of at most %d bytes, found %d", maxAppend, size)
	}
	at, err := binary.ReadUvarint(m.in)
	if err != nil {
		return nil, cutShort(err)
	}
	if m.buf.Cap() > keptMessage {
		m.buf = bytes.Buffer{}
	}
	m.buf.Reset()
	// The buffer grows with what arrives: a length is not to be believed before the signature.
	if _, err := io.CopyN(&m.buf, m.in, int64(size)+sha256.Size); err != nil {
		return nil, cutShort(err)
	}
	m.part++
	body, signature := m.buf.Bytes()[:size], m.buf.Bytes()[size:]
	if !hmac.Equal(m.seal.message(m.part, at, body), signature) {
		return nil, refuse("signature", domain.Unauthorized, "stream of messages: want message %d of the node that began it, found another", m.part)
	}
	return body, checkTime(m.now(), int64(at))
}

// keptMessage limits the buffer that is kept for the next message.
const keptMessage = 1 << 20

// cutShort returns the error of a stream that ends within a message.
func cutShort(err error) error {
	return domain.Errorf(domain.Unavailable, "stream of messages: it ends early: %w", err)
}
