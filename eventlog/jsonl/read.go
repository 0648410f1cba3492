package jsonl

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Line is one line of a text, without its line feed. Text is valid until the next line is
// read.
type Line struct {
	Number  int64 // from 1
	Text    []byte
	TooLong bool // longer than the bound; Text is its beginning
	Open    bool // no line feed ends it: the text may still be being written
}

// Lines yields the lines of a text in constant memory, with any bytes. An error of the
// reader names the text and the line.
func Lines(r io.Reader, name string, bound int) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		reader := bufio.NewReaderSize(r, 64<<10)
		var number int64
		var long []byte
		for {
			line := Line{Number: number + 1}
			part, err := reader.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				long = append(long[:0], part...)
				for errors.Is(err, bufio.ErrBufferFull) {
					part, err = reader.ReadSlice('\n')
					if room := bound + 2 - len(long); room > 0 {
						long = append(long, part[:min(room, len(part))]...)
					}
				}
				part = long
			}
			if err != nil && !errors.Is(err, io.EOF) {
				code := domain.Unavailable
				if domain.CodeOf(err) != domain.Internal {
					code = domain.CodeOf(err)
				}
				yield(line, domain.Errorf(code, "%s:%d: %w", name, line.Number, err))
				return
			}
			if len(part) == 0 && err != nil {
				return
			}
			line.Open = err != nil
			line.Text = bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r"))
			if len(line.Text) > bound {
				line.Text, line.TooLong = line.Text[:bound], true
			}
			number++
			if !yield(line, nil) || err != nil {
				return
			}
		}
	}
}

// ReadOptions says what happens with broken lines.
type ReadOptions struct {
	Lenient bool // skip broken lines instead of ending with the first
	// OnSkip is called for every skipped line; the fault names the file and the line.
	OnSkip func(file string, line int64, fault error)
	// OnLine is called for every line, for progress.
	OnLine func(file string, line int64)
	// OnComment is called for comments and empty lines.
	OnComment func(file string, line int64)
}

// errCutOff is why the last line of a text that is still being written is skipped.
var errCutOff = domain.Errorf(domain.Invalid, "the line is cut off where the file ends; once it is whole, a further import takes it")

// Read yields the events of a text. Empty lines and lines that begin with "#" are
// comments. A broken line, and one whose event no log can store, ends the read with an
// error that names the text, the line and every fault in it; a lenient read reports and
// skips it. A last line that ends within its JSON is no error: it is reported as skipped,
// because the text is, or was when it was copied, still being written.
func Read(r io.Reader, name string, options ReadOptions) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		var absent derive
		for line, err := range Lines(r, name, MaxLine) {
			if err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			if options.OnLine != nil {
				options.OnLine(name, line.Number)
			}
			text := bytes.TrimSpace(line.Text)
			if len(text) == 0 || text[0] == '#' {
				if options.OnComment != nil {
					options.OnComment(name, line.Number)
				}
				continue
			}
			var e domain.Envelope
			if line.TooLong {
				err = domain.Errorf(domain.TooLarge, "want at most %d bytes in a line, found more; take the line out, or leave lines like it out by --lenient", MaxLine)
			} else {
				e, err = absent.read(text)
			}
			if err == nil {
				err = eventlog.CheckProposed(e.Stream, []eventlog.Proposed{{ID: e.ID, Type: e.Type, Version: e.Version, Data: e.Data}})
			}
			if err != nil {
				cutOff := line.Open && errors.Is(err, io.ErrUnexpectedEOF)
				if cutOff {
					err = errCutOff
				}
				err = domain.Errorf(domain.CodeOf(err), "%s: %w", name+":"+strconv.FormatInt(line.Number, 10), err)
				if options.Lenient || cutOff {
					if options.OnSkip != nil {
						options.OnSkip(name, line.Number, err)
					}
					continue
				}
				yield(domain.Envelope{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// ReadFiles yields the events of several files in order. Positions and derived revisions
// begin anew in each file.
func ReadFiles(paths []string, options ReadOptions) iter.Seq2[domain.Envelope, error] {
	return func(yield func(domain.Envelope, error) bool) {
		for _, path := range paths {
			file, err := OpenFile(path)
			if err != nil {
				yield(domain.Envelope{}, err)
				return
			}
			for e, err := range Read(file, path, options) {
				if !yield(e, err) || err != nil {
					file.Close()
					return
				}
			}
			if err := file.Close(); err != nil {
				yield(domain.Envelope{}, domain.Errorf(domain.Unavailable, "close %s: %w", path, err))
				return
			}
		}
	}
}
