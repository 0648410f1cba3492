package recorded

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// maxSortedBytes bounds the keys and values that a sorter holds in memory.
const maxSortedBytes = 32 << 20

// sorter is an external merge sort of values by time, then by rank, then by the order in
// which they were added. It writes sorted runs to a scratch file when it holds more than
// bound bytes.
type sorter struct {
	bound  int // bytes in memory
	keys   []sortKey
	values []byte
	file   *os.File
	runs   []int64 // end of each in the file
}

// sortKey is the key of a value in memory.
type sortKey struct {
	seconds    int64
	nanos      int32
	rank       int64
	begin, end int // in values
}

const sortKeySize = 40

func (k sortKey) compare(o sortKey) int {
	return cmp.Or(cmp.Compare(k.seconds, o.seconds), cmp.Compare(k.nanos, o.nanos), cmp.Compare(k.rank, o.rank))
}

func (k sortKey) time() time.Time { return time.Unix(k.seconds, int64(k.nanos)).UTC() }

// add keeps a copy of a value.
func (s *sorter) add(at time.Time, rank int64, value []byte) error {
	if len(s.keys) > 0 && len(s.keys)*sortKeySize+len(s.values)+len(value) > s.bound {
		if err := s.spill(); err != nil {
			return scratchError(err)
		}
	}
	begin := len(s.values)
	s.values = append(s.values, value...)
	s.keys = append(s.keys, sortKey{at.Unix(), int32(at.Nanosecond()), rank, begin, len(s.values)})
	return nil
}

// spill writes the values in memory to the scratch file as a run.
func (s *sorter) spill() error {
	if s.file == nil {
		file, err := os.CreateTemp("", "rift-import-")
		if err != nil {
			return err
		}
		_ = os.Remove(file.Name()) // where the system allows it, so that a crash leaves no file behind
		s.file = file
	}
	slices.SortStableFunc(s.keys, sortKey.compare)
	out := bufio.NewWriterSize(s.file, 256<<10)
	var head []byte
	for _, key := range s.keys {
		head = binary.AppendVarint(head[:0], key.seconds)
		head = binary.AppendVarint(head, int64(key.nanos))
		head = binary.AppendVarint(head, key.rank)
		head = binary.AppendUvarint(head, uint64(key.end-key.begin))
		_, _ = out.Write(head) // Flush returns the error
		_, _ = out.Write(s.values[key.begin:key.end])
	}
	if err := out.Flush(); err != nil {
		return err
	}
	end, err := s.file.Seek(0, io.SeekCurrent)
	s.runs = append(s.runs, end)
	s.keys, s.values = s.keys[:0], s.values[:0]
	return err
}

// all yields the values in their order. A value is valid until the next is yielded.
func (s *sorter) all() iter.Seq2[sortedValue, error] {
	return func(yield func(sortedValue, error) bool) {
		if s.file == nil {
			slices.SortStableFunc(s.keys, sortKey.compare)
			for _, key := range s.keys {
				if !yield(sortedValue{key, s.values[key.begin:key.end]}, nil) {
					return
				}
			}
			return
		}
		runs, err := s.open()
		if err != nil {
			yield(sortedValue{}, scratchError(err))
			return
		}
		for len(runs) > 0 {
			if !yield(runs[0].first, nil) {
				return
			}
			switch more, err := runs[0].advance(); {
			case err != nil:
				yield(sortedValue{}, scratchError(err))
				return
			case more:
				heap.Fix(&runs, 0)
			default:
				heap.Pop(&runs)
			}
		}
	}
}

type sortedValue struct {
	key   sortKey
	value []byte
}

// open spills the rest and opens the runs for reading.
func (s *sorter) open() (runHeap, error) {
	if err := s.spill(); err != nil {
		return nil, err
	}
	s.keys, s.values = nil, nil
	var runs runHeap
	begin := int64(0)
	for i, end := range s.runs {
		one := &run{order: i, from: bufio.NewReaderSize(io.NewSectionReader(s.file, begin, end-begin), 64<<10)}
		more, err := one.advance()
		if err != nil {
			return nil, err
		}
		if more {
			runs = append(runs, one)
		}
		begin = end
	}
	heap.Init(&runs)
	return runs, nil
}

// close frees the memory and removes the scratch file.
func (s *sorter) close() {
	s.keys, s.values = nil, nil
	if s.file != nil {
		_ = s.file.Close() // it is not read again
		_ = os.Remove(s.file.Name())
		s.file = nil
	}
}

// scratchError wraps an error of the scratch file with its folder and size.
func scratchError(err error) error {
	return domain.Errorf(domain.Unavailable, "scratch file of an import that is put in the order of time: %w; it takes about twice the size of the records, in %s: TMPDIR names another folder", err, os.TempDir())
}

// run is a sorted part of the scratch file with its next value.
type run struct {
	order int
	from  *bufio.Reader
	first sortedValue
}

func (r *run) advance() (more bool, err error) {
	seconds, err := binary.ReadVarint(r.from)
	if err == io.EOF { //nolint:errorlint // ReadVarint does not wrap it
		return false, nil
	}
	nanos, err2 := binary.ReadVarint(r.from)
	rank, err3 := binary.ReadVarint(r.from)
	length, err4 := binary.ReadUvarint(r.from)
	if err := cmp.Or(err, err2, err3, err4); err != nil {
		return false, err
	}
	r.first.key = sortKey{seconds: seconds, nanos: int32(nanos), rank: rank}
	r.first.value = slices.Grow(r.first.value[:0], int(length))[:length]
	_, err = io.ReadFull(r.from, r.first.value)
	return err == nil, err
}

// runHeap is a heap of runs by their next values.
type runHeap []*run

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	return cmp.Or(h[i].first.key.compare(h[j].first.key), cmp.Compare(h[i].order, h[j].order)) < 0
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// packing encodes and decodes values of a sorter.
type packing struct {
	bytes []byte
	bad   bool
}

func (p *packing) putNumber(n int64) { p.bytes = binary.AppendVarint(p.bytes, n) }

func (p *packing) putText(text string) {
	p.putNumber(int64(len(text)))
	p.bytes = append(p.bytes, text...)
}

func (p *packing) number() int64 {
	n, size := binary.Varint(p.bytes)
	if size <= 0 {
		p.bad, p.bytes = true, nil
		return 0
	}
	p.bytes = p.bytes[size:]
	return n
}

func (p *packing) text() string {
	length := p.number()
	if length < 0 || length > int64(len(p.bytes)) {
		p.bad, p.bytes = true, nil
		return ""
	}
	text := string(p.bytes[:length])
	p.bytes = p.bytes[length:]
	return text
}

// err returns an error if a value was read beyond the end.
func (p *packing) err() error {
	if p.bad {
		return scratchError(domain.Errorf(domain.Corrupt, "it was damaged"))
	}
	return nil
}
