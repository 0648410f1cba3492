package domain_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/work"
)

type measured struct {
	Count int              `json:"count"`
	Term  *uint64          `json:"term,omitempty"`
	Seed  uint64           `json:"seed"`
	Spans []domain.Seconds `json:"spans"`
	Deep  map[string]struct {
		Share float64   `json:"share"`
		At    time.Time `json:"at"`
	} `json:"deep"`
	Raw json.RawMessage `json:"raw"`
}

func TestEveryNumberHasTheRangeOfItsType(t *testing.T) {
	ranges := domain.RangesOf(reflect.TypeFor[measured]())
	big := uint64(math.MaxUint64)
	within := measured{Count: domain.MaxWhole, Seed: big, Spans: []domain.Seconds{0, -domain.MaxSeconds, domain.MaxSeconds}, Raw: json.RawMessage(`1e999`)}
	if faults := ranges.Faults(within); faults != nil {
		t.Errorf("want none, found %v", faults)
	}
	wrong := measured{Count: math.MinInt64, Term: &big, Spans: []domain.Seconds{1, domain.Seconds(math.Inf(1)), domain.Seconds(math.NaN()), domain.MaxSeconds + 1}}
	wrong.Deep = map[string]struct {
		Share float64   `json:"share"`
		At    time.Time `json:"at"`
	}{"b": {At: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}, "a": {Share: math.NaN(), At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}}
	var fields []string
	for _, fault := range ranges.Within("part", wrong) {
		fields = append(fields, fault.Field)
	}
	want := "part.count part.term part.spans[1] part.spans[2] part.spans[3] part.deep.a.share part.deep.b.at"
	if got := strings.Join(fields, " "); got != want {
		t.Errorf("want faults in %q, found %q", want, got)
	}
}

// TestNoSettingIsTakenThatOverflows: whatever a policy's number is set to, it is
// refused or every duration in the document is what a clock can add.
func TestNoSettingIsTakenThatOverflows(t *testing.T) {
	all := sections
	settings, err := all.Settings(all.Default())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		setting := rapid.SampledFrom(settings).Draw(t, "setting")
		if !json.Valid(setting.Value) || strings.ContainsAny(string(setting.Value), `"[{`) {
			return
		}
		value := rapid.SampledFrom([]string{"1e10", "1e18", "1e308", "-1e300", "9007199254740993", "9223372036854775807", "-9223372036854775808"}).Draw(t, "value")
		path := strings.Split(setting.Key, ".")
		change := value
		for i := len(path) - 1; i >= 0; i-- {
			change = fmt.Sprintf("{%q:%s}", path[i], change)
		}
		after, faults := all.Change(all.Default(), json.RawMessage(change))
		if len(faults) > 0 {
			return
		}
		read, err := all.Settings(after)
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range read {
			var seconds domain.Seconds
			if !strings.HasSuffix(is.Key, "_seconds") || json.Unmarshal(is.Value, &seconds) != nil {
				continue
			}
			if seconds > 0 && !now.Add(seconds.Duration()).After(now) || seconds > domain.MaxSeconds {
				t.Fatalf("%s = %s was taken: now and it is %s", is.Key, is.Value, now.Add(seconds.Duration()))
			}
		}
	})
}

func TestAnEventWithANumberOutOfRangeIsRefused(t *testing.T) {
	catalog, err := domain.NewCatalog(nil, work.Events())
	if err != nil {
		t.Fatal(err)
	}
	for field, event := range map[string]domain.Event{
		"timeout_seconds": work.Spawned{TaskID: "a", TaskType: "x", TimeoutSeconds: 1e18, MaxAttempts: 1},
		"max_attempts":    work.Spawned{TaskID: "a", TaskType: "x", TimeoutSeconds: 1, MaxAttempts: math.MaxInt64},
		"lease":           work.Started{TaskID: "a", Lease: math.MaxUint64, NodeID: "n"},
		"deadline":        work.Claimed{TaskID: "a", Lease: 1, NodeID: "n", Attempt: 1, Deadline: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if _, _, _, err := catalog.Encode(event); err == nil || strings.Count(err.Error(), field+":") != 1 {
			t.Errorf("want one fault of %s, found %v", field, err)
		}
	}
}

func TestSecondsNeverWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := domain.Seconds(rapid.Float64().Draw(t, "seconds"))
		if d := s.Duration(); s > 0 && d < 0 || s < 0 && d > 0 {
			t.Fatalf("%v became %v", float64(s), d)
		}
	})
	if d := domain.Seconds(math.NaN()).Duration(); d != 0 {
		t.Errorf("want nothing of what is no number, found %v", d)
	}
}
