package foreign

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/ringrift/rift/domain"
)

// userMeta is what the envelope of one of our events says beyond id, type and data.
type userMeta struct {
	Version int       `json:"$rift"` // schema version; its key tells these metadata from others
	Time    time.Time `json:"time"`
	domain.Meta
}

const userMetaStart = `{"$rift":`

// AppendUserMeta writes version, time and metadata of an event as one JSON
// object, in the form that ParseUserMeta reads.
func AppendUserMeta(dst []byte, version int, at time.Time, meta domain.Meta) []byte {
	text, err := json.Marshal(userMeta{Version: version, Time: domain.Instant(at), Meta: meta})
	if err != nil {
		return dst // a year beyond 9999, which JSON has no form for
	}
	return append(dst, text...)
}

// ParseUserMeta reads what AppendUserMeta wrote. It refuses everything else,
// another order of the keys too, so that what it accepts is not changed by
// being written again.
func ParseUserMeta(text []byte) (version int, at time.Time, meta domain.Meta, ok bool) {
	if !bytes.HasPrefix(text, []byte(userMetaStart)) {
		return 0, at, meta, false
	}
	var parsed userMeta
	if json.Unmarshal(text, &parsed) != nil || parsed.Version < 1 || parsed.Version > 65535 {
		return 0, at, meta, false
	}
	if !bytes.Equal(AppendUserMeta(nil, parsed.Version, parsed.Time, parsed.Meta), text) {
		return 0, at, meta, false
	}
	return parsed.Version, parsed.Time, parsed.Meta, true
}
