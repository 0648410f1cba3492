package pebblelog

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
)

// streamHead is what the sequencer has to know of a stream before an append.
type streamHead struct {
	revision  domain.Revision // of the last event; NoStream if there is none
	tombstone bool
}

// headCache caches the heads of recently used streams in two maps. When the younger map is
// full it becomes the older one, and the older one is dropped. Every entry that was used
// since the last such change is kept, without the cost of a list.
type headCache struct {
	half         int
	young, older map[domain.StreamID]streamHead
}

func newHeadCache(size int) *headCache {
	return &headCache{half: max(size/2, 1), young: make(map[domain.StreamID]streamHead)}
}

func (c *headCache) get(stream domain.StreamID) (streamHead, bool) {
	head, found := c.young[stream]
	if found {
		return head, true
	}
	head, found = c.older[stream]
	if found {
		c.put(stream, head)
	}
	return head, found
}

func (c *headCache) put(stream domain.StreamID, head streamHead) {
	if _, there := c.young[stream]; !there && len(c.young) >= c.half {
		c.young, c.older = make(map[domain.StreamID]streamHead, c.half), c.young
	}
	c.young[stream] = head
}

func (c *headCache) forget() { c.young, c.older = make(map[domain.StreamID]streamHead), nil }

// readHead reads the head of a stream from the database. Most streams that are not in the
// cache are new, and the filters of the tables find that out for revision 0 without a
// seek.
func readHead(db *pebble.DB, stream domain.StreamID, limited bool) (streamHead, error) {
	head := streamHead{revision: domain.NoStream}
	if limited {
		meta, err := readMeta(db, stream)
		if err != nil {
			return head, err
		}
		head.tombstone = meta.Tombstone
	}
	_, closer, err := db.Get(appendStreamKey(nil, stream, 0))
	if errors.Is(err, pebble.ErrNotFound) {
		return head, nil
	}
	if err != nil {
		return head, err
	}
	if err := closer.Close(); err != nil {
		return head, err
	}
	head.revision, err = lastRevision(db, stream)
	return head, err
}

// lastRevision seeks the last entry of a stream's index.
func lastRevision(db *pebble.DB, stream domain.StreamID) (revision domain.Revision, err error) {
	it, err := db.NewIter(streamBounds(stream))
	if err != nil {
		return domain.NoStream, err
	}
	defer closeAfter(it, &err)
	if !it.Last() {
		return domain.NoStream, it.Error()
	}
	_, revision, ok := splitStreamKey(it.Key())
	if !ok {
		return domain.NoStream, domain.Errorf(domain.Corrupt, "index of stream %s: want a revision, found key %x", stream, it.Key())
	}
	return revision, nil
}

func streamBounds(stream domain.StreamID) *pebble.IterOptions {
	lower := append(append([]byte{streamPrefix}, stream...), 0)
	upper := append(append([]byte{streamPrefix}, stream...), 1)
	return &pebble.IterOptions{LowerBound: lower, UpperBound: upper}
}
