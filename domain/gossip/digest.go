package gossip

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/ringrift/rift/domain"
)

// Buckets is how many ranges the documents are told apart by, by a hash of their nodes.
const Buckets = 64

func bucketOf(id domain.NodeID) int {
	sum := sha256.Sum256([]byte(id))
	return int(sum[0]) % Buckets
}

// Digests has a digest of each range: eight bytes each, one after the other.
type Digests []byte

// sum is what a document of the version adds to the digest of its range.
func (v Version) sum() uint64 {
	var text [24]byte
	binary.BigEndian.PutUint64(text[:], v.Incarnation)
	binary.BigEndian.PutUint64(text[8:], v.Counter)
	binary.BigEndian.PutUint64(text[16:], v.Hash)
	sum := sha256.Sum256(append(text[:], v.NodeID...))
	return binary.BigEndian.Uint64(sum[:])
}

// Digests are those of the documents that are known. The order in which they came
// makes no difference: what is added up is the same.
func (p *Peers) Digests() Digests {
	digests := make(Digests, 0, 8*Buckets)
	for _, sum := range p.sums {
		digests = binary.BigEndian.AppendUint64(digests, sum)
	}
	return digests
}

// Root is one digest of all.
func (d Digests) Root() string {
	sum := sha256.Sum256(d)
	return hex.EncodeToString(sum[:8])
}

// Differ lists the ranges whose digests differ. Digests that are none differ in all.
func (d Digests) Differ(other Digests) []int {
	var differ []int
	for bucket := range Buckets {
		if at := 8 * bucket; len(other) != 8*Buckets || !slices.Equal(d[at:at+8], other[at:at+8]) {
			differ = append(differ, bucket)
		}
	}
	return differ
}

// Versions gives the versions of the documents in ranges, by node.
func (p *Peers) Versions(buckets []int) []Version {
	var versions []Version
	for _, e := range p.sorted() {
		if slices.Contains(buckets, e.bucket) {
			versions = append(versions, e.version)
		}
	}
	return versions
}

// Compare gives, for the versions that another node has in ranges, the documents
// that are newer here, at most so many, and the nodes whose are newer there.
func (p *Peers) Compare(buckets []int, theirs []Version, most int) (newer []Document, wanted []domain.NodeID) {
	told := map[domain.NodeID]Version{}
	for _, v := range theirs {
		if known, found := p.known[v.NodeID]; !found || known.version.Compare(v) < 0 {
			wanted = append(wanted, v.NodeID)
		}
		told[v.NodeID] = v
	}
	size := 0
	for _, e := range p.sorted() {
		if len(newer) == most || size > maxToldBytes {
			break
		}
		if v, had := told[e.document.NodeID]; slices.Contains(buckets, e.bucket) && (!had || v.Compare(e.version) < 0) {
			newer = append(newer, e.document)
			size += e.document.size()
		}
	}
	return newer, wanted
}

// Of gives the documents of nodes, at most so many.
func (p *Peers) Of(ids []domain.NodeID, most int) []Document {
	var documents []Document
	size := 0
	for _, id := range ids {
		if e, found := p.known[id]; found && len(documents) < most && size <= maxToldBytes {
			documents = append(documents, e.document)
			size += e.document.size()
		}
	}
	return documents
}
