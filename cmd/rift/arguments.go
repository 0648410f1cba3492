package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
	"github.com/ringrift/rift/transport"
)

// argument is one key of a command or a query on the command line.
type argument struct {
	path []string // keys from the outside in, as on the wire
	flag string
	kind reflect.Type
	help string
}

// argumentsOf lists the keys of a struct by its tags: `json` for a command,
// `query` and `path` for a query. Structs inside it are flattened.
func argumentsOf(example any, tags ...string) []argument {
	var found []argument
	var walk func(t reflect.Type, path []string)
	walk = func(t reflect.Type, path []string) {
		for field := range fieldsOf(t) {
			name := wireName(field, tags)
			if name == "-" {
				continue
			}
			kind := field.Type
			if kind.Kind() == reflect.Pointer {
				kind = kind.Elem()
			}
			at := append(slices.Clone(path), name)
			switch {
			case name == "" && field.Anonymous && kind.Kind() == reflect.Struct:
				walk(kind, path)
			case name == "":
			case kind.Kind() == reflect.Struct && !plainText(kind):
				walk(kind, at)
			default:
				found = append(found, argument{path: at, flag: strings.ReplaceAll(name, "_", "-"), kind: kind, help: transport.Said(field, name)})
			}
		}
	}
	if t := reflect.TypeOf(example); t != nil && t.Kind() == reflect.Struct {
		walk(t, nil)
	}
	named := map[string]int{}
	for _, a := range found {
		named[a.flag]++
	}
	for i, a := range found {
		if named[a.flag] > 1 {
			found[i].flag = strings.ReplaceAll(strings.Join(a.path, "-"), "_", "-")
		}
	}
	return found
}

func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if field := t.Field(i); (field.IsExported() || field.Anonymous) && !yield(field) {
				return
			}
		}
	}
}

func wireName(field reflect.StructField, tags []string) string {
	for _, tag := range tags {
		if value, ok := field.Tag.Lookup(tag); ok {
			name, _, _ := strings.Cut(value, ",")
			return name
		}
	}
	return ""
}

var (
	timeType    = reflect.TypeFor[time.Time]()
	secondsType = reflect.TypeFor[domain.Seconds]()
	rawType     = reflect.TypeFor[json.RawMessage]()
)

// plainText reports whether a struct is written as a single value.
func plainText(t reflect.Type) bool { return t == timeType }

// typeName names in the help the kind of value that an argument takes.
func (a argument) typeName() string {
	switch {
	case a.kind == secondsType:
		return "duration"
	case a.kind == timeType:
		return "time"
	case a.kind == rawType:
		return "json"
	}
	switch a.kind.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Int32, reflect.Uint32:
		return "int"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		if a.kind.Elem().Kind() == reflect.String {
			return "list"
		}
	}
	return "json"
}

// encode turns the text of an argument into JSON of its type.
func (a argument) encode(text string) (json.RawMessage, error) {
	wrong := func(want string) error { return usagef("--%s: want %s, found %q", a.flag, want, text) }
	switch a.typeName() {
	case "string":
		return json.Marshal(text)
	case "bool":
		value, err := strconv.ParseBool(text)
		if err != nil {
			return nil, wrong("true or false")
		}
		return json.Marshal(value)
	case "int":
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			if _, err := strconv.ParseUint(text, 10, 64); err != nil {
				return nil, wrong("a whole number")
			}
		}
		return json.RawMessage(strings.TrimPrefix(text, "+")), nil
	case "number":
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, wrong("a number")
		}
		return json.Marshal(value)
	case "duration":
		if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) {
			return json.Marshal(value)
		}
		value, err := time.ParseDuration(text)
		if err != nil {
			return nil, wrong("a duration such as 90m, or seconds")
		}
		return json.Marshal(value.Seconds())
	case "time":
		value, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, wrong("a time such as 2026-03-06T14:02:11Z")
		}
		return json.Marshal(value)
	case "list":
		words := []string{}
		for word := range strings.SplitSeq(text, ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, word)
			}
		}
		return json.Marshal(words)
	}
	return readJSON("--"+a.flag, text)
}

// readJSON returns JSON as it was given, or the content of FILE for @FILE.
func readJSON(what, text string) (json.RawMessage, error) {
	content := []byte(text)
	if path, isFile := strings.CutPrefix(text, "@"); isFile {
		read, err := config.ReadFile(path)
		if err != nil {
			return nil, domain.Errorf(domain.NotFound, "%s: %w", what, err)
		}
		content = bytes.TrimPrefix(read, []byte("\xef\xbb\xbf"))
	}
	if !json.Valid(content) {
		err := usagef("%s: want JSON, found %.60q", what, content)
		return nil, hinted(err, `JSON text stands in quotes of its own: '"text"'; @FILE reads a file`)
	}
	return content, nil
}

// repeatable is a flag whose values are joined with commas.
type repeatable struct {
	text *string
	kind string
}

func (r repeatable) String() string { return "" }
func (r repeatable) Type() string   { return r.kind }
func (r repeatable) Set(text string) error {
	if *r.text != "" && r.kind == "list" {
		text = *r.text + "," + text
	}
	*r.text = text
	return nil
}

// given holds the arguments that were given on the command line.
type given struct {
	arguments []argument
	texts     []*string
	flags     *pflag.FlagSet
}

// addArguments adds a flag for every argument.
func addArguments(c *cobra.Command, arguments []argument, help map[string]string) *given {
	g := &given{flags: c.Flags()}
	for _, argument := range arguments {
		name := strings.Join(argument.path, ".")
		if text := help[name]; text != "" {
			argument.help = text
		}
		if argument.help == "" {
			argument.help = strings.ReplaceAll(strings.Join(argument.path, " "), "_", " ")
		}
		text := new(string)
		c.Flags().Var(repeatable{text, argument.typeName()}, argument.flag, argument.help)
		if argument.typeName() == "bool" {
			c.Flags().Lookup(argument.flag).NoOptDefVal = "true"
		}
		g.arguments, g.texts = append(g.arguments, argument), append(g.texts, text)
	}
	return g
}

// has reports whether an argument was given as a flag.
func (g *given) has(key string) bool {
	for argument := range g.each() {
		if strings.Join(argument.path, ".") == key {
			return true
		}
	}
	return false
}

// each yields the arguments that were given, with their values.
func (g *given) each() func(yield func(argument, string) bool) {
	return func(yield func(argument, string) bool) {
		for i, argument := range g.arguments {
			if g.flags.Changed(argument.flag) && !yield(argument, *g.texts[i]) {
				return
			}
		}
	}
}

// body makes the JSON object of a command: the object of --json or --file, in which
// positional arguments and flags replace keys.
func (g *given) body(base []byte, all []argument, positional map[string]string) ([]byte, error) {
	object := map[string]any{}
	if len(base) > 0 {
		var given map[string]json.RawMessage
		if err := json.Unmarshal(base, &given); err != nil || given == nil {
			return nil, usagef("body: want a JSON object, found %.60q", base)
		}
		for name, value := range given {
			object[name] = value
		}
	}
	put := func(a argument, text string) error {
		value, err := a.encode(text)
		if err != nil {
			return err
		}
		return place(object, a.path, value)
	}
	for _, a := range all {
		if text, found := positional[strings.Join(a.path, ".")]; found {
			if err := put(a, text); err != nil {
				return nil, err
			}
		}
	}
	for a, text := range g.each() {
		if err := put(a, text); err != nil {
			return nil, err
		}
	}
	return json.Marshal(object)
}

// place sets a value in nested objects.
func place(object map[string]any, path []string, value json.RawMessage) error {
	for _, name := range path[:len(path)-1] {
		switch inner := object[name].(type) {
		case map[string]any:
			object = inner
			continue
		case json.RawMessage:
			var opened map[string]any
			if err := json.Unmarshal(inner, &opened); err != nil || opened == nil {
				return usagef("body: %s: want an object, found %.60q", name, inner)
			}
			object[name] = opened
			object = opened
			continue
		}
		fresh := map[string]any{}
		object[name] = fresh
		object = fresh
	}
	object[path[len(path)-1]] = value
	return nil
}

// bodyFlags adds --json and --file.
type bodyFlags struct{ text, file string }

func (b *bodyFlags) add(c *cobra.Command, m *many) {
	file := "file of the whole body as JSON; - reads standard input"
	if m != nil {
		file = "file of bodies, one JSON object for each item; - reads standard input"
	}
	c.Flags().StringVar(&b.text, "json", "", "the whole body as JSON; - reads standard input; flags win over its keys")
	c.Flags().StringVar(&b.file, "file", "", file)
	c.MarkFlagsMutuallyExclusive("json", "file")
}

// maxInput bounds what is read from standard input and files. It is more than any node
// accepts.
const maxInput = 16 << 20

func (b *bodyFlags) read(stdin io.Reader) ([]byte, error) {
	switch {
	case b.text == "-" || b.file == "-":
		return readBody(stdin)
	case b.text != "":
		return []byte(b.text), nil
	case b.file != "":
		file, err := os.Open(b.file)
		if err != nil {
			return nil, domain.Errorf(domain.NotFound, "body: %w", err)
		}
		content, err := readBody(file)
		return content, errors.Join(err, file.Close())
	default:
		return nil, nil
	}
}

func readBody(source io.Reader) ([]byte, error) {
	text, err := jsonl.Unpack(source)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "body: %w", err)
	}
	defer func() { _ = text.Close() }() // only read from
	content, err := io.ReadAll(io.LimitReader(text, maxInput+1))
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "body: %w", err)
	}
	if len(content) > maxInput {
		return nil, domain.Errorf(domain.TooLarge, "body: want at most %d bytes", maxInput)
	}
	return content, nil
}

// nearestKey suggests the known key that a fault about an unknown key was probably
// meant to name.
func nearestKey(field string, arguments []argument) string {
	var names []string
	for _, a := range arguments {
		names = append(names, strings.Join(a.path, "."))
	}
	if near := config.Nearest(field, names); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return ""
}
