package pebblelog

import (
	"encoding/binary"

	"github.com/ringrift/rift/domain"
)

// The key ranges. Each key starts with one of these bytes.
const (
	recordPrefix   = 'g' // g <position>            → record, the only place a payload is stored
	identityPrefix = 'i' // i <hash of stream and event id> → positions as uvarints, merged by appending
	metaPrefix     = 'm' // m <stream>              → limits of the stream as JSON
	streamPrefix   = 's' // s <stream> 0 <revision> → position as uvarint
	timePrefix     = 't' // t <running maximum of times> <position>, every timeStride positions
	statKey        = "x stat"
	limitsKey      = "x limits"  // how often limits of streams were set, u64
	appliedKey     = "x applied" // the index of the last Apply, u64
)

func appendRecordKey(dst []byte, position domain.Position) []byte {
	return binary.BigEndian.AppendUint64(append(dst, recordPrefix), uint64(position))
}

func recordKeyPosition(key []byte) (domain.Position, bool) {
	if len(key) != 9 || key[0] != recordPrefix {
		return 0, false
	}
	return domain.Position(binary.BigEndian.Uint64(key[1:])), true
}

// A stream's name holds no zero byte, so no stream's range lies in another's.
func appendStreamKey(dst []byte, stream domain.StreamID, revision domain.Revision) []byte {
	dst = append(append(append(dst, streamPrefix), stream...), 0)
	return binary.BigEndian.AppendUint64(dst, uint64(revision))
}

func splitStreamKey(key []byte) (stream []byte, revision domain.Revision, ok bool) {
	n := len(key)
	if n < 11 || key[0] != streamPrefix || key[n-9] != 0 {
		return nil, 0, false
	}
	return key[1 : n-9], domain.Revision(binary.BigEndian.Uint64(key[n-8:])), true
}

func appendIdentityKey(dst []byte, hash uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, identityPrefix), hash)
}

func appendMetaKey(dst []byte, stream domain.StreamID) []byte {
	return append(append(dst, metaPrefix), stream...)
}

func appendTimeKey(dst []byte, micros int64, position domain.Position) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, timePrefix), uint64(micros)^1<<63)
	return binary.BigEndian.AppendUint64(dst, uint64(position))
}

func splitTimeKey(key []byte) (micros int64, position domain.Position, ok bool) {
	if len(key) != 17 || key[0] != timePrefix {
		return 0, 0, false
	}
	return int64(binary.BigEndian.Uint64(key[1:]) ^ 1<<63), domain.Position(binary.BigEndian.Uint64(key[9:])), true
}

// identityHash shortens (stream, event id) to eight bytes: 9 instead of up to
// 530 bytes of key for each event. Two facts may share a hash; the entry then
// lists both positions and the records say which is which. It is part of the
// stored format.
func identityHash(stream domain.StreamID, id domain.EventID) uint64 {
	h := mix(fnv(stream) ^ binary.LittleEndian.Uint64(id[:8]))
	return mix(h + binary.LittleEndian.Uint64(id[8:]))
}

// streamHash is a stream in memory only.
func streamHash[S ~string | ~[]byte](stream S) uint64 { return mix(fnv(stream)) }

func fnv[S ~string | ~[]byte](text S) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}

// mix spreads every bit over all others (the finaliser of splitmix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
