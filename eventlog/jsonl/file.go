package jsonl

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/ringrift/rift/domain"
)

// OpenFile opens a file for reading. A compressed file is unpacked.
func OpenFile(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fileError(err)
	}
	unpacked, err := Unpack(file)
	if err != nil {
		return nil, errors.Join(domain.Errorf(domain.Invalid, "open %s: %w", path, err), file.Close())
	}
	return &stack{Reader: unpacked, closers: []io.Closer{unpacked, file}}, nil
}

// Unpack unpacks a text by the format that its first bytes show: gzip, zstd or none. The
// name of a file does not matter. A byte order mark of UTF-8 is left out, because it is
// not part of the text; any other shows that the text is not UTF-8, and is an error.
func Unpack(r io.Reader) (io.ReadCloser, error) {
	unpacked, err := unpack(r)
	if err != nil {
		return nil, err
	}
	text := bufio.NewReaderSize(unpacked, 64<<10)
	head, err := text.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, unpacked.Close())
	}
	for _, mark := range orderMarks {
		if !bytes.HasPrefix(head, mark.bytes) {
			continue
		}
		if mark.encoding != "" {
			return nil, errors.Join(domain.Errorf(domain.Invalid, "want UTF-8, found the byte order mark of %s", mark.encoding), unpacked.Close())
		}
		if _, err := text.Discard(len(mark.bytes)); err != nil {
			return nil, errors.Join(err, unpacked.Close())
		}
		break
	}
	return &stack{Reader: text, closers: []io.Closer{unpacked}}, nil
}

// orderMarks are the byte order marks, longer ones first. That of UTF-8 has no name,
// because it is not an error.
var orderMarks = []struct {
	bytes    []byte
	encoding string
}{
	{[]byte("\xff\xfe\x00\x00"), "UTF-32"},
	{[]byte("\x00\x00\xfe\xff"), "UTF-32"},
	{[]byte("\xef\xbb\xbf"), ""},
	{[]byte("\xff\xfe"), "UTF-16"},
	{[]byte("\xfe\xff"), "UTF-16"},
}

func unpack(r io.Reader) (io.ReadCloser, error) {
	packed := new(int64)
	buffered := bufio.NewReaderSize(counting{r, packed}, 64<<10)
	head, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		decoder, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, err
		}
		closer := decoder.IOReadCloser()
		return &stack{Reader: &expanding{Reader: closer, packed: packed}, closers: []io.Closer{closer}}, nil
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		decoder, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, packedError(err)
		}
		return &stack{Reader: &expanding{Reader: decoder, packed: packed}, closers: []io.Closer{decoder}}, nil
	}
	return io.NopCloser(buffered), nil
}

// Pack compresses what is written to a file with this name: by zstd if the name ends in
// .zst, by gzip if it ends in .gz, otherwise not at all. Close completes the compressed
// text and does not close w.
func Pack(name string, w io.Writer) (io.WriteCloser, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".zst":
		encoder, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, domain.Errorf(domain.Internal, "pack %s: %w", name, err)
		}
		return encoder, nil
	case ".gz":
		return gzip.NewWriter(w), nil
	}
	return unpacked{w}, nil
}

type unpacked struct{ io.Writer }

func (unpacked) Close() error { return nil }

func fileError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return domain.Errorf(domain.NotFound, "%w", err)
	}
	return domain.Errorf(domain.Unavailable, "%w", err)
}

type stack struct {
	io.Reader
	closers []io.Closer
}

func (s *stack) Close() error {
	var err error
	for _, closer := range s.closers {
		err = errors.Join(err, closer.Close())
	}
	return err
}
