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
	"github.com/ringrift/rift/domain/election"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/gauntlet"
	"github.com/ringrift/rift/domain/nodes"
	"github.com/ringrift/rift/domain/swim"
	"github.com/ringrift/rift/domain/tournament"
	"github.com/ringrift/rift/domain/training"
	"github.com/ringrift/rift/domain/work"
)

// areas lists every area's entries, for tests that look at all of them.
func areas() [][]domain.Def {
	return [][]domain.Def{
		admin.Events(), election.Events(), elo.Events(), gauntlet.Events(),
		nodes.Events(), domain.PolicyEvents(nil), swim.Events(), tournament.Events(), training.Events(), work.Events(),
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

// canonical holds one payload per event type with every key set, in the order
// and spelling in which rift writes it.
var canonical = map[string]string{
	"DAEMON_STATUS_CHANGED":      `{"daemon_name":"auto_sync","node_id":"gpu-1","new_status":"crashed","old_status":"running","reason":"exception","error":"database is locked"}`,
	"DAEMON_CRASH_LOOP_DETECTED": `{"daemon_name":"auto_sync","node_id":"gpu-1","restart_count":3,"window_seconds":300,"last_error":"database is locked"}`,
	"QUALITY_DEGRADED":           `{"config_key":"square19_3p","quality_score":0.47,"threshold":0.6,"previous_score":0.66,"degradation_delta":-0.19}`,
	"QUALITY_RECOVERED":          `{"config_key":"square19_3p","quality_score":0.71,"previous_score":0.47}`,
	"ELO_VELOCITY_CHANGED":       `{"config_key":"hex8_2p","velocity":6.2,"trend":"accelerating","previous_velocity":1.1}`,
	"ELO_UPDATED":                `{"config_key":"hex8_2p","model_id":"9f2c","old":1500,"new":1512.5,"error":14.25,"games_played":120}`,
	"ELO_MATCHES_MERGED":         `{"count":19,"source":"gpu-2"}`,
	"ELO_RATINGS_RECALCULATED":   `{"ratings":12,"matches":4096}`,
	"ELO_SNAPSHOT":               `{"config_key":"hex8_2p","model_id":"canonical_hex8_2p:gumbel:d2","rating":1542.6,"games":16}`,
	"EVALUATION_COMPLETED":       `{"config_key":"hex8_2p","model_id":"9f2c","games_played":100,"results":[{"opponent":"random","wins":48,"losses":1,"draws":0,"errors":1},{"opponent":"heuristic","wins":30,"losses":18,"draws":2}],"elo":1512,"opponents":["random","heuristic"],"task_id":"t1","node_id":"gpu-1"}`,
	"PLATEAU_DETECTED":           `{"config_key":"hex8_2p","plateau_type":"overfitting","consecutive":2}`,
	"EXPLORATION_BOOST":          `{"config_key":"hex8_2p","boost_factor":1.8,"duration_seconds":3600,"reason":"plateau","temperature":1.4,"games_factor":1.7}`,
	"PROMOTION_FAILED":           `{"config_key":"hex8_2p","model_id":"9f2c","reasons":["games","elo_gain"],"win_rate":0.41,"gates":[{"gate":"games","ok":false,"input":40,"wanted":50,"reason":"too few games"},{"gate":"cooldown","ok":true}]}`,
	"MODEL_PROMOTED":             `{"config_key":"hex8_2p","model_id":"9f2c","previous":"77aa","gates":[{"gate":"games","ok":true,"input":120,"wanted":50}]}`,
	"TRAINING_STARTED":           `{"config_key":"hex8_2p","node_id":"gpu-1","task_id":"t1","epochs":20,"batch_size":512,"samples":100000}`,
	"TRAINING_COMPLETED":         `{"config_key":"hex8_2p","task_id":"t1","model_id":"9f2c","success":true,"final_loss":0.25,"train_loss":0.25,"val_loss":0.31,"samples":100000,"games":400,"duration_seconds":5400.5,"node_id":"gpu-1"}`,
	"TRAINING_FAILED":            `{"config_key":"hex8_2p","error":"out of memory","task_id":"t1","node_id":"gpu-1"}`,
	"SELFPLAY_COMPLETE":          `{"config_key":"hex8_2p","games_played":50,"task_id":"t1","node_id":"gpu-1","duration_seconds":90,"success":true}`,
	"SELFPLAY_ADJUSTED":          `{"config_key":"hex8_2p","cause":"quality","rate":0.6,"factors":[{"cause":"quality","factor":0.6,"until":"2026-01-14T01:00:00Z"},{"cause":"velocity","factor":1}],"previous_rate":1,"search_budget":200}`,
	"DATA_SYNC_STARTED":          `{"sync_id":"s1","node_id":"gpu-1","sync_type":"games","config_key":"hex8_2p"}`,
	"DATA_SYNC_COMPLETED":        `{"sync_id":"s1","node_id":"gpu-1","sync_type":"games","config_key":"hex8_2p","files_synced":3,"games_synced":350,"bytes_synced":1048576,"duration_seconds":12.5}`,
	"DATA_SYNC_FAILED":           `{"sync_id":"s1","node_id":"gpu-1","error":"no route to host","sync_type":"npz","config_key":"hex8_2p","retry_count":2}`,
	"SYNC_STALLED":               `{"sync_id":"s1","node_id":"gpu-1","timeout_seconds":600,"sync_type":"models"}`,
	"TOURNAMENT_COMPLETED":       `{"tournament_id":"cup","games_played":12,"config_key":"hex8_2p","winner_id":"9f2c","ranking":["9f2c","77aa"],"task_id":"t1"}`,
	"CLUSTER_HEALTHY":            `{"healthy_nodes":9,"node_count":10}`,
	"CLUSTER_UNHEALTHY":          `{"healthy_nodes":4,"node_count":10,"reason":"quorum at risk"}`,
	"HANDLER_FAILED":             `{"handler":"work.retry","event_id":"01234567-89ab-8def-8123-456789abcdef","position":17,"error":"row t1 of table tasks: unexpected end"}`,
	"KIND_PAUSED":                `{"kind":"tournament","reason":"cluster","until":"2026-01-14T01:00:00Z"}`,
	"KIND_RESUMED":               `{"kind":"tournament","reason":"cluster"}`,
	"DEAD_LETTER_RETRIED":        `{"id":"decode@17","handler":"decode","position":17,"event_type":"TASK_CLAIMED","reason":"fixed"}`,
	"DEAD_LETTER_DISCARDED":      `{"id":"decode@17","handler":"decode","position":17,"event_type":"TASK_CLAIMED","error":"no such type","attempts":2,"reason":"not wanted"}`,
	"NODE_BREAKER_CLOSED":        `{"node_id":"gpu-1","reason":"success"}`,
	"NODE_RETIRED":               `{"node_id":"gpu-1","reason":"offline"}`,
	"IDLE_RESOURCE_DETECTED":     `{"node_id":"gpu-1","since":"2026-01-14T01:00:00Z","idle_duration_seconds":300,"gpu_utilization":2.5,"task_type":"selfplay"}`,
	"IDLE_RESOURCE_CLEARED":      `{"node_id":"gpu-1","idle_duration_seconds":900,"reason":"it holds work"}`,
	"SHUTDOWN_REQUESTED":         `{"reason":"upgrade","grace_seconds":30}`,
	"OUTBOX_SETTLED":             `{"up_to":4711,"node":"gpu-1"}`,
	"EVENT_UNHANDLED":            `{"event_type":"NODE_READY_FOR_WORK","reporter":"router","reason":"unknown event type"}`,
}

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

// fill gives every field a value that is not its zero.
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
