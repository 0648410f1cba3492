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

// markFile is the file that says how much was acknowledged. It is not one of pebble's
// files, so that the loss of the newest of those is noticed: pebble treats a write-ahead
// log that is missing, empty or cut as one to which nothing was written.
//
// It is overwritten after each sync of the write-ahead log and before the append is
// acknowledged. It is not synced itself, which would double the cost of an append. So it
// is never ahead of what is durable. When the process ends, it stays as it is. After a
// loss of power it may be older than what was acknowledged, until the log is opened.
const markFile = "ACKNOWLEDGED"

// mark says how much was acknowledged.
type mark struct {
	position domain.Position // of the last event
	limits   uint64          // number of times that limits of streams were set
}

// The file has two marks, in two pages of the disk, which are written alternately. If one
// is damaged, the other is the mark of one commit before. Each is
//
//	 0 8 bytes that name the format
//	 8 u64 position, little endian
//	16 u64 limits
//	24 u32 CRC32C of the bytes before
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

// covers reports whether a mark counts at least as much as another.
func (m mark) covers(other mark) bool {
	return m.position >= other.position && m.limits >= other.limits
}

// readMark returns the newer of the two marks. there is false in a folder that has none.
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

// marker keeps the mark of an open log up to date. The goroutine that publishes commits
// uses it, one call at a time.
type marker struct {
	file  vfs.File
	at    int64 // offset of the next mark
	frame [markSize]byte
}

// openMarker writes m as the mark of a folder and returns its marker.
func openMarker(files vfs.FS, dir string, m mark) (*marker, error) {
	file, err := files.OpenReadWrite(files.PathJoin(dir, markFile), vfs.WriteCategoryUnspecified) // creates the file if need be
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
