package raft

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
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

// messageSigner signs the messages of one stream. It keeps its hash, because setting one up
// costs as much as hashing a short message.
type messageSigner struct {
	mac  hash.Hash
	head []byte // the same for all messages
}

// messages returns the signer of the messages of a stream that the request opened.
func (s Seal) messages() *messageSigner {
	return &messageSigner{hmac.New(sha256.New, s.key), append([]byte("rift-message-1\n"), s.request...)}
}

// sign appends the signature of a message.
func (s *messageSigner) sign(to []byte, part, at uint64, body []byte) []byte {
	var numbers [16]byte
	binary.BigEndian.PutUint64(numbers[:8], part)
	binary.BigEndian.PutUint64(numbers[8:], at)
	s.mac.Reset()
	_, _ = s.mac.Write(s.head)
	_, _ = s.mac.Write(numbers[:])
	_, _ = s.mac.Write(body)
	return s.mac.Sum(to)
}

// appendMessage appends a message and its signature to a stream.
func (s *messageSigner) appendMessage(to []byte, part uint64, sent time.Time, body []byte) []byte {
	at := uint64(sent.UnixMilli())
	to = binary.AppendUvarint(binary.AppendUvarint(to, uint64(len(body))), at)
	return s.sign(append(to, body...), part, at, body)
}

// messageReader reads a stream of messages.
type messageReader struct {
	in     *bufio.Reader
	signer *messageSigner
	now    func() time.Time
	part   uint64
	buf    bytes.Buffer
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
	if !hmac.Equal(m.signer.sign(nil, m.part, at, body), signature) {
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
