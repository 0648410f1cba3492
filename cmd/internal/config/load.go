package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/ringrift/rift/domain"
)

// DefaultFile is read if it exists and no other file is named.
const DefaultFile = "rift.yaml"

// layer is one source of settings; name describes where a key comes from.
type layer struct {
	values *koanf.Koanf
	name   func(setting) string
}

// load reads the settings from defaults, file, variables and flags, and returns for
// each where its value comes from.
func load(settings []setting, flags *pflag.FlagSet, getenv func(string) string) (map[string]string, []domain.Fault, error) {
	fromFile, path, err := readFile(flags, getenv)
	if err != nil {
		return nil, nil, err
	}
	faults := unknownKeys(fromFile, path)
	defaults, variables, given := koanf.New("."), koanf.New("."), koanf.New(".")
	for _, s := range settings {
		text := s.fallback
		if text == "" {
			text = zeroText(s)
		}
		if err := defaults.Load(confmap.Provider(map[string]any{s.key: text}, "."), nil); err != nil {
			return nil, nil, domain.Errorf(domain.Internal, "default of %s: %w", s.key, err)
		}
		if text := getenv(s.variable()); text != "" {
			if err := variables.Load(confmap.Provider(map[string]any{s.key: text}, "."), nil); err != nil {
				return nil, nil, domain.Errorf(domain.Invalid, "%s: %w", s.variable(), err)
			}
		}
		if flag := flags.Lookup(s.flag()); flag != nil && flag.Changed {
			if err := given.Load(confmap.Provider(map[string]any{s.key: flag.Value.String()}, "."), nil); err != nil {
				return nil, nil, domain.Errorf(domain.Invalid, "--%s: %w", s.flag(), err)
			}
		}
	}
	layers := []layer{
		{defaults, func(setting) string { return "default" }},
		{fromFile, func(setting) string { return path }},
		{variables, setting.variable},
		{given, func(s setting) string { return "--" + s.flag() }},
	}
	merged := koanf.New(".")
	for _, l := range layers {
		if err := merged.Merge(l.values); err != nil {
			return nil, nil, domain.Errorf(domain.Invalid, "settings: %w", err)
		}
	}
	sources := map[string]string{}
	for _, s := range settings {
		for _, l := range layers {
			if l.values.Exists(s.key) {
				sources[s.key] = l.name(s)
			}
		}
		if err := s.set(merged.Get(s.key)); err != nil {
			faults = append(faults, domain.Fault{Field: s.key, Reason: err.Error() + " (" + sources[s.key] + ")"})
			// Check the rest with the default, so that one fault is not reported
			// twice.
			if err := s.set(defaults.Get(s.key)); err != nil {
				return nil, nil, domain.Errorf(domain.Internal, "default of %s: %w", s.key, err)
			}
		}
	}
	return sources, faults, nil
}

func zeroText(s setting) string {
	switch s.field.Kind() {
	case reflect.Bool:
		return "false"
	case reflect.String:
		return ""
	}
	if s.kind() == "duration" {
		return "0s"
	}
	return "0"
}

// readFile reads the settings file: the named one, or rift.yaml if it exists.
func readFile(flags *pflag.FlagSet, getenv func(string) string) (*koanf.Koanf, string, error) {
	values := koanf.New(".")
	path, named := "", false
	if flag := flags.Lookup("config"); flag != nil && flag.Changed {
		path, named = flag.Value.String(), true
	} else if path = getenv("RIFT_CONFIG"); path != "" {
		named = true
	} else {
		path = DefaultFile
	}
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) && !named {
			return values, path, nil
		}
		return nil, "", domain.Errorf(domain.NotFound, "settings file: %w", err)
	}
	if err := values.Load(settingsFile(path), yaml.Parser()); err != nil {
		return nil, "", domain.Errorf(domain.Invalid, "settings file %s: %w", path, err)
	}
	return values, path, nil
}

// settingsFile reads a settings file for koanf.
type settingsFile string

func (f settingsFile) ReadBytes() ([]byte, error) { return ReadFile(string(f)) }

func (settingsFile) Read() (map[string]any, error) {
	return nil, domain.Errorf(domain.Internal, "a settings file is read as bytes")
}

// unknownKeys returns a fault for every unknown key, with the nearest known one.
func unknownKeys(values *koanf.Koanf, path string) []domain.Fault {
	known := map[string]bool{}
	for _, s := range slices.Concat(settingsOf(&Serve{}), settingsOf(&Client{})) {
		known[s.key] = true
	}
	names := slices.Sorted(maps.Keys(known))
	var faults []domain.Fault
	for _, key := range values.Keys() {
		if known[key] {
			continue
		}
		if group, _, nested := strings.Cut(key, "."); nested && known[group] {
			continue // the setting itself reports that it is a single value
		}
		reason := "not a setting"
		if near := Nearest(key, names); near != "" {
			reason += fmt.Sprintf("; did you mean %s?", near)
		}
		faults = append(faults, domain.Fault{Field: key, Reason: reason + " (" + path + ")"})
	}
	return faults
}

// Nearest returns the name that was probably meant, or "".
func Nearest(text string, names []string) string { return domain.Nearest(text, names) }

// printYAML writes the settings, each with a comment.
func printYAML(w io.Writer, settings []setting, sources map[string]string) error {
	root := &yamlv3.Node{Kind: yamlv3.MappingNode}
	groups := map[string]*yamlv3.Node{"": root}
	for _, s := range settings {
		group, name, nested := strings.Cut(s.key, ".")
		if !nested {
			group, name = "", s.key
		}
		parent := groups[group]
		if parent == nil {
			parent = &yamlv3.Node{Kind: yamlv3.MappingNode}
			groups[group] = parent
			root.Content = append(root.Content, &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: group}, parent)
		}
		value := &yamlv3.Node{}
		if err := value.Encode(plain(s)); err != nil {
			return domain.Errorf(domain.Internal, "setting %s: %w", s.key, err)
		}
		value.LineComment = sources[s.key]
		parent.Content = append(parent.Content, &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: name}, value)
	}
	encoder := yamlv3.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return domain.Errorf(domain.Unavailable, "print settings: %w", err)
	}
	return encoder.Close()
}

func plain(s setting) any {
	switch value := s.field.Interface().(type) {
	case string:
		return Redact(value)
	case fmt.Stringer:
		return value.String()
	default:
		return value
	}
}

// Redact hides the password of a URL, including one with several hosts.
func Redact(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return text
	}
	before, _, _ := strings.Cut(rest, "?")
	at := strings.LastIndexByte(before, '@')
	user, _, secret := strings.Cut(rest[:max(at, 0)], ":")
	if !secret {
		return text
	}
	return scheme + "://" + user + ":xxxxx" + rest[at:]
}
