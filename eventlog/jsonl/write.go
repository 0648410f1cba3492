package jsonl

import (
	"bufio"
	"bytes"
	"io"

	"github.com/ringrift/rift/domain"
)

// Writer writes events as lines. Call Flush at the end.
type Writer struct {
	out     *bufio.Writer
	line    []byte
	scratch bytes.Buffer
	count   int64
}

// NewWriter returns a writer of lines.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(w, 64<<10)} }

// Write adds one event.
func (w *Writer) Write(e domain.Envelope) error {
	line, err := appendLine(w.line[:0], e, &w.scratch)
	if err != nil {
		return err
	}
	w.line = line
	if _, err := w.out.Write(line); err != nil {
		return domain.Errorf(domain.Unavailable, "write event %d: %w", e.Position, err)
	}
	w.count++
	return nil
}

// Count returns the number of events written.
func (w *Writer) Count() int64 { return w.count }

// Flush writes everything to the underlying writer.
func (w *Writer) Flush() error {
	if err := w.out.Flush(); err != nil {
		return domain.Errorf(domain.Unavailable, "flush: %w", err)
	}
	return nil
}
