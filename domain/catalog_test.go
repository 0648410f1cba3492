package domain_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/cmaesrun"
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/raft"
	"github.com/ringrift/rift/domain/relay"
	"github.com/ringrift/rift/domain/sshtournament"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
)

// areas lists every area's entries, for tests that look at all of them.
func areas() [][]domain.Def {
	return [][]domain.Def{
		admin.Events(), election.Events(), elo.Events(), gauntlet.Events(),
		cmaesrun.Events(), nodes.Events(), raft.Events(), relay.Events(), domain.PolicyEvents(nil), swim.Events(), sshtournament.Events(), tournament.Events(), training.Events(), work.Events(),
	}
}

func wholeCatalog(t testing.TB) *domain.Catalog {
	t.Helper()
	catalog, err := domain.NewCatalog(nil, areas()...)
	if err != nil {
		t.Fatal(err)
	}
	return catalog
}

// canonical holds the example of each event type, in the order and spelling in
// which rift writes it.
var canonical = func() map[string]string {
	examples := map[string]string{}
	for _, area := range areas() {
		for _, def := range area {
			examples[def.Type] = def.Example
		}
	}
	return examples
}()

func TestEveryPayloadComesBackAsItWasWritten(t *testing.T) {
	catalog := wholeCatalog(t)
	for _, eventType := range slices.Sorted(maps.Keys(canonical)) {
		t.Run(eventType, func(t *testing.T) {
			def, _ := catalog.Lookup(eventType)
			event, err := catalog.Decode(eventType, def.Version, []byte(canonical[eventType]))
			if err != nil {
				t.Fatal(err)
			}
			gotType, version, data, err := catalog.Encode(event)
			if err != nil {
				t.Fatal(err)
			}
			if gotType != eventType || version != def.Version || string(data) != canonical[eventType] {
				t.Fatalf("want %s version %d %s\nfound %s version %d %s", eventType, def.Version, canonical[eventType], gotType, version, data)
			}
			if homed, ok := event.(domain.Homed); ok && homed.Home().Category() != def.Stream {
				t.Errorf("want it at home in %s, found %s", def.Stream, homed.Home())
			}
			if def.Origin != domain.External {
				return
			}
			translated, err := catalog.Translate(eventType, data)
			if err != nil || len(translated.Translated) > 0 || !reflect.DeepEqual(translated.Event, event) {
				t.Errorf("want the canonical payload taken as it is, found %+v, %v", translated, err)
			}
		})
	}
}

// The whole catalogue, types of every area: what a struct holds, its payload
// holds, and reads back.
func TestEveryEventReadsBackWhole(t *testing.T) {
	catalog := wholeCatalog(t)
	for _, def := range catalog.Defs() {
		t.Run(def.Type, func(t *testing.T) {
			empty, err := def.DecodeWith(domain.StandardCodec{}, []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			full := reflect.New(reflect.TypeOf(empty)).Elem()
			fill(full)
			data, err := json.Marshal(full.Interface())
			if err != nil {
				t.Fatal(err)
			}
			back, err := catalog.Decode(def.Type, def.Version, data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, full.Interface()) {
				t.Errorf("want %+v\nfound %+v", full.Interface(), back)
			}
			var optional, all []string
			for _, key := range def.Keys {
				all = append(all, key.Name)
				if key.Optional {
					optional = append(optional, key.Name)
				}
			}
			if found := keysIn(t, data); !slices.Equal(found, all) {
				t.Errorf("want the keys %v, found %v", all, found)
			}
			sparse, err := json.Marshal(empty)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keysIn(t, sparse) {
				if slices.Contains(optional, key) {
					t.Errorf("want the optional key %s left out when it is unknown, found it in %s", key, sparse)
				}
			}
		})
	}
}

// What a section of a policy document holds, the document holds, and reads back.
func TestEverySectionReadsBackWhole(t *testing.T) {
	for _, section := range []domain.Section{
		work.DefaultPolicy(), nodes.DefaultPolicy(), admin.DefaultPolicy(), nodes.DefaultDaemonsPolicy(), training.DefaultDatasyncPolicy(), nodes.DefaultAlarmsPolicy(),
		training.DefaultPolicy(), elo.DefaultPolicy(), gauntlet.DefaultPolicy(), training.DefaultPromotionPolicy(), training.DefaultPopulatorPolicy(),
	} {
		t.Run(section.SectionName(), func(t *testing.T) {
			full := reflect.New(reflect.TypeOf(section)).Elem()
			fill(full)
			encoded, err := json.Marshal(domain.Policy{}.With(full.Interface().(domain.Section)))
			if err != nil {
				t.Fatal(err)
			}
			back, err := domain.Sections{section}.Read(domain.Written(string(encoded)))
			if err != nil || !reflect.DeepEqual(back.Each()[0], full.Interface()) {
				t.Errorf("want %+v\nfound %+v, %v", full.Interface(), back.Each(), err)
			}
		})
	}
}

// fill sets every field to a value other than zero.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 14, 0, 31, 5, 250_000_000, time.UTC)))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(`{"k":[1,null]}`)))
		return
	case domain.EventID:
		v.Set(reflect.ValueOf(domain.DeriveID("fill", 1)))
		return
	case domain.Policy:
		v.Set(reflect.ValueOf(domain.Written(`{"k":{"l":[1,null]}}`)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("w1 <&> é")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64, reflect.Float32:
		v.SetFloat(0.1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		switch {
		case v.CanInt():
			v.SetInt(7)
		case v.CanUint():
			v.SetUint(math.MaxUint8)
		default:
			panic("an event holds a " + v.Type().String() + ", which has no form in a payload")
		}
	}
}

// keysIn lists the top-level keys of an object in the order they stand.
func keysIn(t *testing.T, data []byte) []string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	var keys []string
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// The handlers' contract: these keys are required, these are known and optional.
func TestKeysOfTheHandlersContract(t *testing.T) {
	catalog := wholeCatalog(t)
	for eventType, want := range map[string]string{
		"DAEMON_STATUS_CHANGED": "daemon_name node_id new_status (old_status reason error)",
		"QUALITY_DEGRADED":      "config_key quality_score threshold (previous_score degradation_delta)",
		"ELO_VELOCITY_CHANGED":  "config_key velocity trend (previous_velocity)",
		"EVALUATION_COMPLETED":  "config_key model_id games_played results (elo opponents task_id)",
		"PLATEAU_DETECTED":      "config_key (plateau_type consecutive)",
		"EXPLORATION_BOOST":     "config_key boost_factor duration_seconds (reason)",
		"PROMOTION_FAILED":      "config_key model_id reasons (win_rate)",
		"HANDLER_FAILED":        "handler event_id position error",
		"TRAINING_STARTED":      "config_key node_id task_id (epochs batch_size samples)",
		"TRAINING_COMPLETED":    "config_key task_id model_id success (final_loss train_loss val_loss samples games duration_seconds)",
		"TASK_SPAWNED":          "task_id task_type (config_key depends_on requires)",
		"TASK_COMPLETED":        "task_id lease (result)",
		"TASK_FAILED":           "task_id lease error",
		"DATA_SYNC_STARTED":     "sync_id node_id sync_type",
		"DATA_SYNC_COMPLETED":   "sync_id node_id (files_synced games_synced bytes_synced duration_seconds)",
		"NODE_UNHEALTHY":        "node_id reason (consecutive_failures disk_used_percent gpu_utilization)",
		"NODE_RECOVERED":        "node_id (recovery_time_seconds)",
		"CLUSTER_HEALTHY":       "healthy_nodes node_count",
		"CLUSTER_UNHEALTHY":     "healthy_nodes node_count reason",
		"LEADER_CHANGED":        "leader term (previous)",
		"ELO_UPDATED":           "config_key model_id old new error games_played",
	} {
		def, ok := catalog.Lookup(eventType)
		if !ok {
			t.Errorf("want %s in the catalogue", eventType)
			continue
		}
		required, optional, _ := strings.Cut(strings.TrimSuffix(want, ")"), "(")
		check := func(names string, isOptional bool) {
			for _, name := range strings.Fields(names) {
				at := slices.IndexFunc(def.Keys, func(key domain.Key) bool { return key.Name == name })
				if at < 0 || def.Keys[at].Optional != isOptional {
					t.Errorf("%s: want key %s (optional %v), found %v", eventType, name, isOptional, def.Keys)
				}
			}
		}
		check(required, false)
		check(optional, true)
	}
}

var typeName = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

var keyName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestEntriesSpeakOneLanguage(t *testing.T) {
	categories := strings.Fields("task node daemon training model elo gauntlet tournament sshtournament cmaes sync election cluster policy relay admin")
	for _, def := range wholeCatalog(t).Defs() {
		if !typeName.MatchString(def.Type) {
			t.Errorf("%s: want a type in upper case with underscores", def.Type)
		}
		if !slices.Contains(categories, def.Stream) {
			t.Errorf("%s: want one of the categories %v, found %q", def.Type, categories, def.Stream)
		}
		if def.About == "" || strings.HasSuffix(def.About, ".") || strings.Contains(def.About, "\n") {
			t.Errorf("%s: want one sentence without a full stop, found %q", def.Type, def.About)
		}
		if len(def.Keys) == 0 {
			t.Errorf("%s: want at least one key", def.Type)
		}
		for _, key := range def.Keys {
			if !keyName.MatchString(key.Name) {
				t.Errorf("%s: want keys in snake_case, found %q", def.Type, key.Name)
			}
			if key.Type == "" {
				t.Errorf("%s: want the type of key %s", def.Type, key.Name)
			}
		}
	}
}

func TestWhatComesFromOutsideIsValidated(t *testing.T) {
	daemons := slices.DeleteFunc(nodes.Events(), func(d domain.Def) bool { return !strings.HasPrefix(d.Type, "DAEMON_") })
	for _, area := range [][]domain.Def{admin.Events(), daemons, elo.Events(), tournament.Events(), training.Events()} {
		for _, def := range area {
			event, err := def.DecodeWith(domain.StandardCodec{}, []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			check, can := event.(domain.Validator)
			if !can {
				t.Errorf("%s: want it to validate itself", def.Type)
			} else if def.Origin == domain.External && len(check.Validate()) == 0 {
				t.Errorf("%s: want an empty event refused", def.Type)
			}
			if _, homed := event.(domain.Homed); !homed && def.Origin == domain.External {
				t.Errorf("%s: want it to know its stream", def.Type)
			}
		}
	}
}

func TestKeysSayTheirTypes(t *testing.T) {
	catalog := wholeCatalog(t)
	for where, want := range map[string]string{
		"HANDLER_FAILED.event_id":          "UUID",
		"HANDLER_FAILED.position":          "whole number from 0",
		"KIND_PAUSED.until":                "time",
		"PROMOTION_FAILED.reasons":         "list of text",
		"EVALUATION_COMPLETED.results":     "list of object",
		"TRAINING_COMPLETED.success":       "true or false",
		"SELFPLAY_COMPLETE.success":        "true or false",
		"DATA_SYNC_COMPLETED.bytes_synced": "whole number",
		"TASK_SPAWNED.payload":             "JSON",
		"ELO_UPDATED.new":                  "number",
	} {
		eventType, name, _ := strings.Cut(where, ".")
		def, _ := catalog.Lookup(eventType)
		at := slices.IndexFunc(def.Keys, func(key domain.Key) bool { return key.Name == name })
		if at < 0 || def.Keys[at].Type != want {
			t.Errorf("%s: want %q, found %v", where, want, def.Keys)
		}
	}
}
