package mapping

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
)

// payload makes an object of values. What a record does not say stays absent.
func payload(values []value, f *fields, at time.Time, by *moment) (map[string]any, error) {
	made := map[string]any{}
	for _, v := range values {
		said, err := v.of(f, at, by)
		if err != nil {
			return nil, domain.Errorf(domain.CodeOf(err), "%s: %w", v.key, err)
		}
		if said != nil {
			made[v.key] = said
		}
	}
	return made, nil
}

// of is what a record says; nil where it says nothing.
func (v *value) of(f *fields, at time.Time, by *moment) (any, error) {
	switch {
	case v.literal != nil:
		return v.literal, nil
	case v.kind == kindObject:
		made, err := payload(v.object, f, at, by)
		if err != nil || len(made) == 0 {
			return nil, err
		}
		return made, nil
	case v.kind == kindTime:
		return v.moment(f, at, by)
	}
	text, found := v.from.fill(f)
	if !found {
		return v.absent, nil
	}
	if v.kind == kindList || v.first {
		list, err := v.split.apart(text)
		if err != nil || len(list) == 0 {
			return v.absent, err
		}
		if v.kind == kindList {
			return list, nil
		}
		text = list[0]
	}
	if word, has := v.words[text]; has {
		text = word
	}
	text = strings.ToValidUTF8(text, "�")
	switch v.kind {
	case kindInt:
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "want a whole number, found %q", domain.Clip(text, 80))
		}
		step, _ := strconv.ParseInt(v.add, 10, 32) // it was read once; empty is none
		if step > 0 && number > math.MaxInt64-step || step < 0 && number < math.MinInt64-step {
			return nil, domain.Errorf(domain.Invalid, "want a number within 64 bits, found %q", domain.Clip(text, 80))
		}
		return number + step, nil
	case kindFloat:
		return finite(text)
	case kindBool:
		switch strings.ToLower(text) {
		case "true", "yes", "1":
			return true, nil
		case "false", "no", "0":
			return false, nil
		}
		return nil, domain.Errorf(domain.Invalid, "want true or false, found %q", domain.Clip(text, 80))
	default:
		return text, nil
	}
}

// moment is a time of the record, or the event's own, with something added.
func (v *value) moment(f *fields, at time.Time, by *moment) (any, error) {
	if v.from != nil {
		text, found := v.from.fill(f)
		if !found {
			return v.absent, nil
		}
		var err error
		if at, err = by.parse(text); err != nil {
			return nil, err
		}
	}
	step, _ := time.ParseDuration(v.add) // it was read once; empty is none
	return domain.Instant(at.Add(step)).Format(domain.Timestamp), nil
}

func finite(text string) (float64, error) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return 0, domain.Errorf(domain.Invalid, "want a number, found %q", domain.Clip(text, 80))
	}
	return number, nil
}

// plain is a value as text, to be remembered.
func plain(value any) string {
	if list, is := value.([]string); is {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value)
}
