package foreign

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
)

// What is written by hand is what json.Marshal writes, or is left to it.
func TestUserMetaAreWhatJSONWrites(t *testing.T) {
	t.Parallel()
	if _, plain := appendPlain(nil, 1, time.UnixMicro(0), &domain.Meta{Command: "c1", Actor: "tester", Term: 3}); !plain {
		t.Error("want plain text written by hand")
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-z0-9 @:/-]{0,12}`), rapid.StringMatching(`[ -~]{0,12}`), rapid.String())
		meta := domain.Meta{
			Command: text.Draw(t, "command"), Causation: text.Draw(t, "causation"), Correlation: text.Draw(t, "correlation"), Actor: text.Draw(t, "actor"),
			Node: text.Draw(t, "node"), Policy: text.Draw(t, "policy"), Request: text.Draw(t, "request"), Custom: text.Draw(t, "custom"),
			Term: rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64()).Draw(t, "term"),
		}
		version := rapid.IntRange(1, 65535).Draw(t, "version")
		at := time.UnixMicro(rapid.OneOf(rapid.Int64Range(-1e17, 1e18), rapid.Just(int64(0)), rapid.Just(int64(1_700_000_000_000_000))).Draw(t, "micros"))
		want, err := json.Marshal(userMeta{Version: version, Time: domain.Instant(at), Meta: meta})
		found := AppendUserMeta([]byte("before"), version, at, meta)
		if err != nil {
			want = nil
		}
		if string(found) != "before"+string(want) {
			t.Fatalf("want %s, found %s", want, found)
		}
	})
}
