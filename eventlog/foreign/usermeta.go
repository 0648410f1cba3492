package foreign

import (
	"bytes"
	"encoding/json"
	"strconv"
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
	if written, plain := appendPlain(dst, version, at, &meta); plain {
		return written
	}
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

// appendPlain writes what json.Marshal would, where no text needs an escape. Every
// event that a client reads has such metadata, and Marshal took more time than reading
// the event.
func appendPlain(dst []byte, version int, at time.Time, meta *domain.Meta) ([]byte, bool) {
	from := len(dst)
	at = domain.Instant(at)
	if year := at.Year(); year < 0 || year > 9999 {
		return dst, false
	}
	dst = append(strconv.AppendInt(append(dst, userMetaStart...), int64(version), 10), `,"time":"`...)
	dst = append(at.AppendFormat(dst, time.RFC3339Nano), '"')
	for _, field := range [...]struct{ key, text string }{
		{`,"command":"`, meta.Command},
		{`,"$causationId":"`, meta.Causation},
		{`,"$correlationId":"`, meta.Correlation},
		{`,"actor":"`, meta.Actor},
		{`,"node":"`, meta.Node},
		{`,"policy":"`, meta.Policy},
	} {
		if field.text == "" {
			continue
		}
		if !plain(field.text) {
			return dst[:from], false
		}
		dst = append(append(append(dst, field.key...), field.text...), '"')
	}
	if meta.Term != 0 {
		dst = strconv.AppendUint(append(dst, `,"term":`...), meta.Term, 10)
	}
	for _, field := range [...]struct{ key, text string }{{`,"request":"`, meta.Request}, {`,"custom":"`, meta.Custom}} {
		if field.text == "" {
			continue
		}
		if !plain(field.text) {
			return dst[:from], false
		}
		dst = append(append(append(dst, field.key...), field.text...), '"')
	}
	return append(dst, '}'), true
}

// plain tells a text that JSON writes as it is.
func plain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}
