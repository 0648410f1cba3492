package bench

import (
	"strings"
	"testing"
)

func TestParseProcessorTime(t *testing.T) {
	const line = "4242 (a (b) c) S 17 4242 4242 0 -1 4194560 90 8 0 0 700 55 30 4 20 0 9 0 100"
	if found, err := parseProcessorTime(line); err != nil || found.Milliseconds() != 7550 {
		t.Errorf("found %v, %v", found, err)
	}
	for _, bad := range []string{"", "1 (x) S 2", strings.Replace(line, "700", "many", 1)} {
		if _, err := parseProcessorTime(bad); err == nil {
			t.Errorf("want %q refused", bad)
		}
	}
}
