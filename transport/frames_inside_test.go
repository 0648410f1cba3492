package transport

import (
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
)

func TestKeptFramesAreThoseOfTheirEvent(t *testing.T) {
	kept := frames{most: 64 << 10}
	one := domain.Envelope{Position: 5, Stream: "a-1", Data: []byte(`{}`), Time: time.Unix(0, 0).UTC()}
	other := domain.Envelope{Position: 5 + keptFrames, Stream: "b-1", Data: []byte(`{}`), Time: time.Unix(0, 0).UTC()}
	first := kept.of(&one)
	if again := kept.of(&one); &again[0] != &first[0] {
		t.Error("want the second reader of an event to get the bytes of the first")
	}
	if got := string(kept.of(&other)); !strings.Contains(got, `"stream":"b-1"`) {
		t.Errorf("want the other event of the same slot, found %s", got)
	}
	large := domain.Envelope{Position: 7, Stream: "a-1", Data: []byte(`{"pad":"` + strings.Repeat("x", kept.most) + `"}`), Time: time.Unix(0, 0).UTC()}
	if first, again := kept.of(&large), kept.of(&large); &first[0] == &again[0] {
		t.Error("want a large frame not kept")
	}
}
