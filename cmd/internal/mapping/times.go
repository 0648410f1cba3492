package mapping

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// The layouts that are not Go's.
const (
	layoutUnix    = "unix"    // seconds, with or without a fraction
	layoutUnixMS  = "unix_ms" // milliseconds
	layoutUnixUS  = "unix_us" // microseconds, as journald has them
	layoutUnixNS  = "unix_ns"
	layoutRFC3339 = "rfc3339"
)

var unixUnits = map[string]float64{layoutUnix: 1e9, layoutUnixMS: 1e6, layoutUnixUS: 1e3, layoutUnixNS: 1}

// The years that a time may lie in.
const (
	firstYear = 1970
	lastYear  = 2261
)

// checkLayout refuses a layout that holds no date and no clock.
func checkLayout(layout string) error {
	if layout == layoutRFC3339 || unixUnits[layout] != 0 {
		return nil
	}
	a := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if layout == "" || a.Format(layout) == a.AddDate(3, 5, 7).Add(13*time.Hour).Format(layout) {
		return domain.Errorf(domain.Invalid, "want unix, unix_ms, unix_us, unix_ns, rfc3339 or a layout of Go such as 2006-01-02 15:04:05, found %q", domain.Clip(layout, 80))
	}
	return nil
}

// of reads the time that a record says; the first layout that fits counts.
func (m *moment) of(f *fields) (time.Time, error) {
	text, found := m.from.fill(f)
	if !found {
		return time.Time{}, domain.Errorf(domain.Invalid, "%s is empty", m.from.said)
	}
	return m.parse(text)
}

func (m *moment) parse(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range m.layouts {
		at, err := parseTime(layout, text, m.zone)
		if err != nil {
			continue
		}
		if at = at.UTC(); at.Year() < firstYear || at.Year() > lastYear {
			return time.Time{}, domain.Errorf(domain.Invalid, "want a year from %d to %d, found %q", firstYear, lastYear, domain.Clip(text, 80))
		}
		return at, nil
	}
	return time.Time{}, domain.Errorf(domain.Invalid, "want %s, found %q", strings.Join(m.layouts, " or "), domain.Clip(text, 80))
}

func parseTime(layout, text string, zone *time.Location) (time.Time, error) {
	unit := unixUnits[layout]
	switch {
	case layout == layoutRFC3339:
		return time.Parse(time.RFC3339Nano, text)
	case unit == 0:
		return time.ParseInLocation(layout, text, zone)
	}
	if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
		if float64(whole)*unit >= math.MaxInt64 || whole < 0 {
			return time.Time{}, domain.Errorf(domain.Invalid, "out of range")
		}
		return time.Unix(0, whole*int64(unit)), nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !(number >= 0 && number*unit < math.MaxInt64) {
		return time.Time{}, domain.Errorf(domain.Invalid, "no number of a time")
	}
	whole, part := math.Modf(number)
	return time.Unix(0, int64(whole)*int64(unit)+int64(math.Round(part*unit/1e3))*1000), nil
}
