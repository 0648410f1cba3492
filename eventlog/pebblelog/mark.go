package pebblelog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/domain"
)

// markFile says how much was acknowledged. It lies outside of pebble's files, so
// that the loss of the newest of them is seen: pebble takes a write-ahead log that
// is gone, empty or cut for one in which nothing was written.
//
// It is overwritten after each sync of the write-ahead log and before the append is
// acknowledged, and not synced itself, which would double the cost of an append. So
// it is never ahead of what is durable. The end of the process does not set it
// back; the loss of power may, by what the system had not written of it, and then
// it says less than was acknowledged until the log is opened.
const markFile = "ACKNOWLEDGED"

// mark is how much was acknowledged.
type mark struct {
	position domain.Position // of the last event
	limits   uint64          // how often limits of streams were set
}

// A file has two marks, in two pages of the disk, which are written in turn. Where one
// is damaged the other says what was acknowledged one commit before. Each is
//
//	 0 8 bytes that name the format
//	 8 u64 position, little endian
//	16 u64 limits
//	24 u32 CRC32C of what is before
const (
	markMagic  = "riftmrk1"
	markSize   = 28
	markSecond = 4096
)

func (m mark) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, markMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.position))
	dst = binary.LittleEndian.AppendUint64(dst, m.limits)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func decodeMark(frame []byte) (m mark, ok bool) {
	if len(frame) < markSize || string(frame[:8]) != markMagic ||
		binary.LittleEndian.Uint32(frame[24:]) != crc32.Checksum(frame[:24], castagnoli) {
		return mark{}, false
	}
	return mark{domain.Position(binary.LittleEndian.Uint64(frame[8:])), binary.LittleEndian.Uint64(frame[16:])}, true
}

// covers tells whether nothing that another mark counts is missing from this one.
func (m mark) covers(other mark) bool {
	return m.position >= other.position && m.limits >= other.limits
}

// readMark reads the later of the two marks; there is false in a folder that has
// none.
func readMark(files vfs.FS, dir string) (m mark, there bool, err error) {
	file, err := files.Open(files.PathJoin(dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, false, nil
	}
	if err != nil {
		return mark{}, false, err
	}
	text, err := io.ReadAll(io.LimitReader(file, markSecond+markSize))
	if err = errors.Join(err, file.Close()); err != nil {
		return mark{}, true, err
	}
	first, whole := decodeMark(text)
	second, secondWhole := decodeMark(text[min(len(text), markSecond):])
	if !whole && !secondWhole {
		return mark{}, true, domain.Errorf(domain.Corrupt, "%s: both marks of how much was acknowledged are damaged", markFile)
	}
	return mark{max(first.position, second.position), max(first.limits, second.limits)}, true, nil
}

// marker keeps the mark of an open log up to date. Whoever publishes commits uses
// it, one at a time.
type marker struct {
	file  vfs.File
	at    int64 // of the next mark
	frame [markSize]byte
}

// openMarker begins to keep the mark of a folder, which says m from here on.
func openMarker(files vfs.FS, dir string, m mark) (*marker, error) {
	file, err := files.OpenReadWrite(files.PathJoin(dir, markFile), vfs.WriteCategoryUnspecified) // makes it too
	if err != nil {
		return nil, err
	}
	k := &marker{file: file}
	if err := errors.Join(k.say(m), k.say(m), file.Sync(), syncFolder(files, dir)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return k, nil
}

// say writes the mark.
func (k *marker) say(m mark) error {
	_, err := k.file.WriteAt(m.append(k.frame[:0]), k.at)
	k.at ^= markSecond
	return err
}

func (k *marker) close() error { return errors.Join(k.file.Sync(), k.file.Close()) }
