package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Size is a number of bytes, written as 512, 64KiB, 1MiB, 2GiB.
type Size int64

var sizeUnits = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"K", 1 << 10},
	{"M", 1 << 20},
	{"G", 1 << 30},
	{"B", 1},
}

// ParseSize parses a number of bytes with an optional unit.
func ParseSize(text string) (Size, error) {
	number, factor := strings.TrimSpace(text), 1.0
	for _, unit := range sizeUnits {
		if rest, found := strings.CutSuffix(number, unit.suffix); found {
			number, factor = strings.TrimSpace(rest), unit.factor
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n*factor) > math.MaxInt64/2 {
		return 0, fmt.Errorf("want a size such as 512 or 1MiB, found %q", text)
	}
	return Size(n * factor), nil
}

// String returns the shortest exact form.
func (s Size) String() string {
	for i := 3; i >= 0; i-- {
		if unit := Size(sizeUnits[i].factor); s != 0 && s%unit == 0 {
			return strconv.FormatInt(int64(s/unit), 10) + sizeUnits[i].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// setting is one leaf field of a settings struct.
type setting struct {
	key      string
	fallback string
	usage    string
	field    reflect.Value
}

func (s setting) flag() string { return strings.NewReplacer("_", "-", ".", "-").Replace(s.key) }

func (s setting) variable() string {
	return "RIFT_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// settingsOf lists the leaf fields of the struct that pointer points at, in order.
func settingsOf(pointer any) []setting {
	var found []setting
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			key := prefix + field.Tag.Get("key")
			if field.Type.Kind() == reflect.Struct {
				walk(key+".", v.Field(i))
				continue
			}
			found = append(found, setting{key: key, fallback: field.Tag.Get("default"), usage: field.Tag.Get("usage"), field: v.Field(i)})
		}
	}
	walk("", reflect.ValueOf(pointer).Elem())
	return found
}

// set sets the field to a value from a flag, a variable or a file.
func (s setting) set(raw any) error {
	text := strings.TrimSpace(fmt.Sprint(raw))
	if raw == nil {
		text = ""
	}
	switch raw.(type) {
	case map[string]any:
		return errors.New("want one value, found keys with values")
	case []any:
		return errors.New("want one value, found a list")
	}
	switch target := s.field.Addr().Interface().(type) {
	case *string:
		*target = text
	case *bool:
		value, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("want true or false, found %q", text)
		}
		*target = value
	case *int:
		value, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("want a whole number, found %q", text)
		}
		*target = value
	case *float64:
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return fmt.Errorf("want a number, found %q", text)
		}
		*target = value
	case *time.Duration:
		value, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("want a duration such as 5s or 2m, found %q", text)
		}
		*target = value
	case *Size:
		value, err := ParseSize(text)
		if err != nil {
			return err
		}
		*target = value
	default:
		return fmt.Errorf("settings of type %s are not supported", s.field.Type())
	}
	return nil
}

// addFlags adds a flag per setting. Values stay text until load reads them, so that
// flags, variables and files have the same error texts.
func addFlags(flags *pflag.FlagSet, settings []setting) {
	for _, s := range settings {
		flags.Var(&flagValue{text: s.fallback, kind: s.kind()}, s.flag(), s.usage)
		if s.kind() == "bool" {
			flags.Lookup(s.flag()).NoOptDefVal = "true"
		}
	}
}

func (s setting) kind() string {
	switch s.field.Interface().(type) {
	case bool:
		return "bool"
	case int:
		return "int"
	case float64:
		return "number"
	case time.Duration:
		return "duration"
	case Size:
		return "size"
	}
	switch {
	case strings.HasSuffix(s.key, "_file"):
		return "file"
	case s.key == "data":
		return "dir"
	case s.key == "listen" || s.key == "addr":
		return "addr"
	}
	return "string"
}

type flagValue struct{ text, kind string }

func (f *flagValue) String() string        { return f.text }
func (f *flagValue) Set(text string) error { f.text = text; return nil }
func (f *flagValue) Type() string          { return f.kind }

// FileFlag adds --config unless it exists.
func FileFlag(flags *pflag.FlagSet) {
	if flags.Lookup("config") == nil {
		flags.String("config", "", "settings file (default: rift.yaml where it exists)")
	}
}
