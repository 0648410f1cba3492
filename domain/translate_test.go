package domain_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/admin"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/domain/training"
)

// faultsOf returns the faults of an error as "field: reason", in order.
func faultsOf(err error) []string {
	var coded *domain.Error
	if !errors.As(err, &coded) {
		return nil
	}
	var texts []string
	for _, fault := range coded.Faults {
		texts = append(texts, fault.Field+": "+fault.Reason)
	}
	return texts
}

func TestTranslateTakesLegacyPayloads(t *testing.T) {
	catalog := wholeCatalog(t)
	cases := map[string]struct {
		Name, payload string
		want          string // the canonical payload
		changes       []string
	}{
		"daemon as documented": {
			"DAEMON_STATUS_CHANGED", `{"daemon_type":"auto_sync","host":"gpu-1","status":"running"}`,
			`{"daemon_name":"auto_sync","node_id":"gpu-1","new_status":"running"}`,
			[]string{"daemon_type → daemon_name", "host → node_id", "status → new_status"},
		},
		"daemon as sent": {
			"daemon_status_changed", `{"daemon_name":"auto_sync","hostname":"gpu-1","old_status":"running","new_status":"crashed","reason":"exception","error":null}`,
			`{"daemon_name":"auto_sync","node_id":"gpu-1","new_status":"crashed","old_status":"running","reason":"exception"}`,
			[]string{"daemon_status_changed → DAEMON_STATUS_CHANGED", "hostname → node_id"},
		},
		"sync under its wire name": {
			"sync_started", `{"sync_id":"s1","host":"gpu-1","data_kind":"x","sync_type":"games"}`,
			`{"sync_id":"s1","node_id":"gpu-1","sync_type":"games"}`,
			[]string{"sync_started → DATA_SYNC_STARTED", "host → node_id", "data_kind dropped: not a key of DATA_SYNC_STARTED"},
		},
		"sync completed": {
			"sync_completed", `{"sync_id":"s1","host":"gpu-1","config":"hex8_2p","games_synced":0,"duration":12.5,"bytes_transferred":7}`,
			`{"sync_id":"s1","node_id":"gpu-1","config_key":"hex8_2p","games_synced":0,"bytes_synced":7,"duration_seconds":12.5}`,
			[]string{"sync_completed → DATA_SYNC_COMPLETED", "bytes_transferred → bytes_synced", "config → config_key", "duration → duration_seconds", "host → node_id"},
		},
		"cluster of the orchestrator": {
			"P2P_CLUSTER_UNHEALTHY", `{"alive_peers":4,"total_peers":10,"reason":"quorum at risk"}`,
			`{"healthy_nodes":4,"node_count":10,"reason":"quorum at risk"}`,
			[]string{"P2P_CLUSTER_UNHEALTHY → CLUSTER_UNHEALTHY", "alive_peers → healthy_nodes", "total_peers → node_count"},
		},
		"cluster of the monitor": {
			"p2p_cluster_healthy", `{"healthy":true,"alive_nodes":9,"node_count":10,"alerts":[]}`,
			`{"healthy_nodes":9,"node_count":10}`,
			[]string{"p2p_cluster_healthy → CLUSTER_HEALTHY", "alive_nodes → healthy_nodes", "alerts dropped: not a key of CLUSTER_HEALTHY", "healthy dropped: not a key of CLUSTER_HEALTHY"},
		},
		"boost": {
			"exploration_boost", `{"config":"hex8_2p","boost":1.3,"duration":900,"reason":"stall"}`,
			`{"config_key":"hex8_2p","boost_factor":1.3,"duration_seconds":900,"reason":"stall"}`,
			[]string{"exploration_boost → EXPLORATION_BOOST", "boost → boost_factor", "config → config_key", "duration → duration_seconds"},
		},
		"one reason": {
			"promotion_failed", `{"config":"hex8_2p","model_id":"9f2c","reason":"head-to-head lost","win_rate":0.41}`,
			`{"config_key":"hex8_2p","model_id":"9f2c","reasons":["head-to-head lost"],"win_rate":0.41}`,
			[]string{"promotion_failed → PROMOTION_FAILED", "reason → reasons", "config → config_key"},
		},
		"an error as the reason": {
			"PROMOTION_REJECTED", `{"config":"hex8_2p","model_id":"9f2c","error":"file missing"}`,
			`{"config_key":"hex8_2p","model_id":"9f2c","reasons":["file missing"]}`,
			[]string{"PROMOTION_REJECTED → PROMOTION_FAILED", "error → reasons", "config → config_key"},
		},
		"training of the bridge": {
			"TRAINING_COMPLETED", `{"board_type":"hex8","num_players":2,"job_id":"t1","model_id":"9f2c","success":true,"training_samples":1000,"training_games":40,"duration":60,"epochs":20}`,
			`{"config_key":"hex8_2p","task_id":"t1","model_id":"9f2c","success":true,"samples":1000,"games":40,"duration_seconds":60}`,
			[]string{"board_type, num_players → config_key", "duration → duration_seconds", "job_id → task_id", "training_games → games", "training_samples → samples", "epochs dropped: not a key of TRAINING_COMPLETED"},
		},
		"a key beside its parts": {
			"TRAINING_FAILED", `{"config":"hex8_2p","board_type":"hex8","num_players":2,"error":"out of memory"}`,
			`{"config_key":"hex8_2p","error":"out of memory"}`,
			[]string{"config → config_key", "board_type dropped: not a key of TRAINING_FAILED", "num_players dropped: not a key of TRAINING_FAILED"},
		},
		"parts of no game": {
			"TRAINING_FAILED", `{"config_key":"hex8_2p","board_type":"hex","num_players":2,"error":"x"}`,
			`{"config_key":"hex8_2p","error":"x"}`,
			[]string{"board_type dropped: not a key of TRAINING_FAILED", "num_players dropped: not a key of TRAINING_FAILED"},
		},
		"selfplay": {
			"SELFPLAY_BATCH_COMPLETE", `{"config":"hex8_2p","games_count":50,"host":"gpu-1","job_id":"t1"}`,
			`{"config_key":"hex8_2p","games_played":50,"task_id":"t1","node_id":"gpu-1"}`,
			[]string{"SELFPLAY_BATCH_COMPLETE → SELFPLAY_COMPLETE", "config → config_key", "games_count → games_played", "host → node_id", "job_id → task_id"},
		},
		"tournament": {
			"tournament_completed", `{"tournament_id":"cup","games":12,"winner":"9f2c"}`,
			`{"tournament_id":"cup","games_played":12,"winner_id":"9f2c"}`,
			[]string{"tournament_completed → TOURNAMENT_COMPLETED", "games → games_played", "winner → winner_id"},
		},
		"results by opponent": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games":60,"opponents":{"random":{"wins":30,"losses":0,"draws":0},"heuristic":{"wins":20,"losses":9,"draws":1}}}`,
			`{"config_key":"hex8_2p","model_id":"9f2c","games_played":60,"results":[{"opponent":"heuristic","wins":20,"losses":9,"draws":1},{"opponent":"random","wins":30,"losses":0,"draws":0}]}`,
			[]string{"opponents by name → results", "games → games_played"},
		},
		"results as a list under opponents": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games_played":3,"opponents":[{"opponent":"random","wins":3,"losses":0,"draws":0}]}`,
			`{"config_key":"hex8_2p","model_id":"9f2c","games_played":3,"results":[{"opponent":"random","wins":3,"losses":0,"draws":0}]}`,
			[]string{"opponents by name → results"},
		},
		"bare counts of one opponent": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games_played":3,"opponents":["random"],"wins":2,"losses":1}`,
			`{"config_key":"hex8_2p","model_id":"9f2c","games_played":3,"results":[{"opponent":"random","wins":2,"losses":1,"draws":0}],"opponents":["random"]}`,
			[]string{`wins, losses, draws against "random" → results`},
		},
		"an alias that repeats its key": {
			"PLATEAU_DETECTED", `{"config":"hex8_2p","config_key":"hex8_2p","consecutive":2,"stall_count":2.0}`,
			`{"config_key":"hex8_2p","consecutive":2}`, nil,
		},
		"null is absent, for a key and for an alias": {
			"PLATEAU_DETECTED", `{"config":"hex8_2p","config_key":null,"stall_count":null,"consecutive":3,"plateau_type":null}`,
			`{"config_key":"hex8_2p","consecutive":3}`,
			[]string{"config → config_key"},
		},
		"a key of another case is another key": {
			"PLATEAU_DETECTED", `{"config_key":"hex8_2p","Consecutive":9}`,
			`{"config_key":"hex8_2p"}`,
			[]string{"Consecutive dropped: not a key of PLATEAU_DETECTED"},
		},
		"an empty key": {
			"PLATEAU_DETECTED", `{"":{"":1},"config_key":"hex8_2p"}`,
			`{"config_key":"hex8_2p"}`,
			[]string{" dropped: not a key of PLATEAU_DETECTED"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := catalog.Translate(c.Name, []byte(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			_, _, data, err := catalog.Encode(got.Event)
			if err != nil {
				t.Fatal(err)
			}
			if string(data) != c.want {
				t.Errorf("want  %s\nfound %s", c.want, data)
			}
			if !slices.Equal(got.Translated, c.changes) {
				t.Errorf("want  %q\nfound %q", c.changes, got.Translated)
			}
		})
	}
}

func TestTranslateNamesEveryFault(t *testing.T) {
	catalog := wholeCatalog(t)
	huge := "1" + strings.Repeat("0", 400)
	cases := map[string]struct {
		Name, payload string
		want          []string
	}{
		"everything is missing": {
			"DAEMON_STATUS_CHANGED", `{}`,
			[]string{"daemon_name: required", "node_id: required", "new_status: required"},
		},
		"null does not fill a key": {
			"TRAINING_FAILED", `{"config_key":null,"error":null}`,
			[]string{"config_key: required", "error: required"},
		},
		"empty words do not either": {
			"TRAINING_FAILED", `{"config_key":"","error":" "}`,
			[]string{"config_key: required", "error: required"},
		},
		"missing, out of range, unknown word": {
			"QUALITY_DEGRADED", `{"config":"hex_2p","quality_score":1.5,"previous_score":-0.1}`,
			[]string{
				"threshold: required",
				`config_key: want <board>_<players>p of the boards hex8, square8, square19, hexagonal and 2 to 4 players, found "hex_2p"`,
				"quality_score: want 0 to 1, found 1.5", "previous_score: want 0 to 1, found -0.1",
			},
		},
		"every wrong type, and the ranges of the rest": {
			"EXPLORATION_BOOST", `{"config_key":7,"boost_factor":"1.8","duration_seconds":-1,"reason":["plateau"],"temperature":11}`,
			[]string{
				"config_key: want text, found number", "boost_factor: want number, found text", "reason: want text, found list",
				"duration_seconds: want more than 0 and at most 3.16224e+08, found -1", "temperature: want 0 to 10, found 11",
			},
		},
		"wrong types inside": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games_played":10,"results":[{"opponent":"random","wins":"many","losses":0,"draws":0}],"opponents":"random"}`,
			[]string{"results.wins: want whole number, found text", "opponents: want list of text, found text"},
		},
		"every result that cannot be": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games_played":0,"results":[{"opponent":"","wins":-1,"losses":0,"draws":0},{"opponent":"random","wins":0,"losses":0,"draws":0},{"opponent":"random","wins":0,"losses":0,"draws":0}]}`,
			[]string{
				"games_played: want 1 to 1000000000, found 0", "results.opponent: required", "results.wins: want 0 to 1000000000, found -1",
				`results.opponent: want each opponent once, found "random" twice`,
			},
		},
		"zero games": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games_played":0,"elo":0,"results":[]}`,
			[]string{"games_played: want 1 to 1000000000, found 0", "results: want wins, losses and draws against at least one opponent"},
		},
		"fewer games than results": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games_played":9,"results":[{"opponent":"random","wins":9,"losses":1,"draws":0}]}`,
			[]string{"games_played: want at least the 10 games of the results, found 9"},
		},
		"counts of nobody in particular": {
			"EVALUATION_COMPLETED", `{"config_key":"hex8_2p","model_id":"9f2c","games_played":9,"wins":9,"losses":0,"draws":0}`,
			[]string{"results: required"},
		},
		"alias and key contradict": {
			"PLATEAU_DETECTED", `{"config":"hex8_3p","config_key":"hex8_2p","stall_count":3,"consecutive":2}`,
			[]string{"config: contradicts config_key", "stall_count: contradicts consecutive"},
		},
		"two aliases contradict": {
			"SELFPLAY_COMPLETE", `{"config_key":"hex8_2p","games":40,"games_count":50}`,
			[]string{"games_count: contradicts games"},
		},
		"whole numbers beyond what a float holds are not the same": {
			"SELFPLAY_COMPLETE", `{"config_key":"hex8_2p","games":9007199254740993,"games_played":9007199254740992}`,
			[]string{"games: contradicts games_played", "games_played: want 0 to 1000000000, found 9007199254740992"},
		},
		"keys that stand twice, at any depth": {
			"PROMOTION_FAILED", `{"config_key":"hex8_2p","config_key":"hex8_2p","model_id":"9f2c","reasons":["x"],"gates":[{"gate":"a","ok":true},{"gate":"b","ok":true,"ok":false}]}`,
			[]string{"config_key: stands twice", "gates.ok: stands twice"},
		},
		"numbers too large": {
			"ELO_VELOCITY_CHANGED", `{"config_key":"hex8_2p","velocity":1e400,"trend":"stable","previous_velocity":1e300}`,
			[]string{"velocity: want number of at most 1.8e308, found number 1e400", "previous_velocity: want -100000 to 100000, found 1e+300"},
		},
		"whole numbers too large": {
			"SELFPLAY_COMPLETE", `{"config_key":"hex8_2p","games_played":` + huge + `,"duration_seconds":1e18}`,
			[]string{
				"games_played: want whole number of 64 bits without point or exponent, found number " + huge[:64-7] + "…",
				"duration_seconds: want 0 to 3.16224e+08, found 1e+18",
			},
		},
		"a fraction of a game": {
			"SELFPLAY_COMPLETE", `{"config_key":"hex8_2p","games_played":1.5}`,
			[]string{"games_played: want whole number of 64 bits without point or exponent, found number 1.5"},
		},
		"a position below zero": {
			"HANDLER_FAILED", `{"handler":"work retry","event_id":"no uuid","position":-1,"error":"x"}`,
			[]string{
				`event_id: event id "no uuid": want a UUID`,
				"position: want whole number from 0 of 64 bits without point or exponent, found number -1",
				`handler: want letters, digits and . _ : @ - only, found ' '`,
			},
		},
		"an unknown status says which there are": {
			"DAEMON_STATUS_CHANGED", `{"daemon_name":"d","node_id":"n","new_status":"error"}`,
			[]string{`new_status: want one of stopped, starting, running, stopping, failed, restarting, import_failed, degraded, stuck, crashed, found "error"`},
		},
		"more healthy nodes than nodes": {
			"CLUSTER_HEALTHY", `{"healthy_nodes":11,"node_count":10}`,
			[]string{"healthy_nodes: want at most the node_count of 10, found 11"},
		},
		"a list":            {"PLATEAU_DETECTED", `[{"config_key":"hex8_2p"}]`, []string{"payload: want a JSON object"}},
		"null":              {"PLATEAU_DETECTED", `null`, []string{"payload: want a JSON object"}},
		"text":              {"PLATEAU_DETECTED", `"hex8_2p"`, []string{"payload: want a JSON object"}},
		"nothing":           {"PLATEAU_DETECTED", ``, []string{"payload: want a JSON object: unexpected end of JSON input"}},
		"no JSON":           {"PLATEAU_DETECTED", `{config_key}`, []string{"payload: want a JSON object: invalid character 'c' looking for beginning of object key string"}},
		"more than one":     {"PLATEAU_DETECTED", `{"config_key":"hex8_2p"} {}`, []string{"payload: want a JSON object: invalid character '{' after top-level value"}},
		"not a number":      {"ELO_VELOCITY_CHANGED", `{"velocity":NaN}`, []string{"payload: want a JSON object: invalid character 'N' looking for beginning of value"}},
		"bytes, no text":    {"PLATEAU_DETECTED", "{\"config_key\":\"\xff\"}", []string{"payload: want UTF-8"}},
		"success, no model": {"TRAINING_COMPLETED", `{"config_key":"hex8_2p","task_id":"t1","model_id":"","success":true}`, []string{"model_id: required"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := catalog.Translate(c.Name, []byte(c.payload))
			if err == nil {
				t.Fatalf("want it refused, found %+v", got)
			}
			if domain.CodeOf(err) != domain.Invalid || !reflect.DeepEqual(got, domain.Translated{}) {
				t.Errorf("want the code invalid and nothing else, found %s and %+v", domain.CodeOf(err), got)
			}
			if found := faultsOf(err); !slices.Equal(found, c.want) {
				t.Errorf("want\n%s\nfound\n%s", strings.Join(c.want, "\n"), strings.Join(found, "\n"))
			}
		})
	}
}

func TestTranslateRefusesAnUnknownType(t *testing.T) {
	for _, name := range []string{"NODE_READY_FOR_WORK", "", "PLATEAU DETECTED", strings.Repeat("x", 1<<16)} {
		_, err := wholeCatalog(t).Translate(name, []byte(`{}`))
		if domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "is not in the catalogue") || len(err.Error()) > 300 {
			t.Errorf("want %.20q refused in a short sentence, found %v", name, err)
		}
	}
}

// JSON has no NaN, but a decision that divided by zero can produce it.
func TestNotANumberIsInNoRange(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	quotient := domain.Seconds(nan)
	for _, event := range []domain.Validator{
		training.QualityDegraded{ConfigKey: "hex8_2p", QualityScore: nan, Threshold: 0.5},
		training.QualityDegraded{ConfigKey: "hex8_2p", QualityScore: 0.5, Threshold: nan},
		training.QualityDegraded{ConfigKey: "hex8_2p", QualityScore: 0.5, Threshold: 0.5, PreviousScore: &nan},
		elo.Updated{ConfigKey: "hex8_2p", ModelID: "m", Old: 1500, New: inf, Error: 1, GamesPlayed: 1},
		elo.VelocityChanged{ConfigKey: "hex8_2p", Velocity: nan, Trend: elo.Stable},
		training.ExplorationBoost{ConfigKey: "hex8_2p", BoostFactor: nan, DurationSeconds: 1},
		training.ExplorationBoost{ConfigKey: "hex8_2p", BoostFactor: 2, DurationSeconds: domain.Seconds(nan)},
		training.SelfplayAdjusted{ConfigKey: "hex8_2p", Cause: training.CauseQuality, Rate: nan},
		training.SelfplayComplete{ConfigKey: "hex8_2p", DurationSeconds: &quotient},
		admin.ShutdownRequested{Reason: "upgrade", GraceSeconds: domain.Seconds(inf)},
		training.Completed{ConfigKey: "hex8_2p", TaskID: "t1", FinalLoss: &nan},
		training.PromotionFailed{ConfigKey: "hex8_2p", ModelID: "m", Reasons: []string{"games"}, Gates: []training.GateVerdict{{Gate: "games", Input: &nan}}},
		elo.EvaluationCompleted{ConfigKey: "hex8_2p", ModelID: "m", GamesPlayed: 1, Results: []elo.OpponentResult{{Opponent: "random", Wins: 1}}, Elo: &inf},
	} {
		if faults := event.Validate(); len(faults) != 1 {
			t.Errorf("%+v: want one fault, found %v", event, faults)
		}
	}
}

// A failed training may have no model; a pause may have no end.
func TestAbsentIsAllowedWhereNothingIsKnown(t *testing.T) {
	catalog := wholeCatalog(t)
	for name, payload := range map[string]string{
		"TRAINING_COMPLETED":  `{"config_key":"hex8_2p","task_id":"t1","model_id":"","success":false}`,
		"DATA_SYNC_COMPLETED": `{"sync_id":"s1","node_id":"gpu-1"}`,
		"KIND_PAUSED":         `{"kind":"tournament","reason":"cluster"}`,
	} {
		got, err := catalog.Translate(name, []byte(payload))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, _, data, err := catalog.Encode(got.Event); err != nil || string(data) != payload {
			t.Errorf("want %s, found %s, %v", payload, data, err)
		}
	}
}

// What stands twice inside a result is a fault under the name of its key; at
// the top the last one counts, as it does for what reads results elsewhere.
func TestACompletionNamesKeysThatStandTwiceInside(t *testing.T) {
	known := training.Known("config_key", "hex8_2p", "task_id", "t-1", "model_id", "m-1")
	result := `{"games_played":1,"games_played":3,"results":[{"opponent":"random","wins":2,"losses":1,"draws":0}]}`
	event, err := training.CompletionOf("EVALUATION_COMPLETED", json.RawMessage(result), known)
	if err != nil {
		t.Fatalf("want the last of two keys taken, found %v", err)
	}
	if measured, ok := event.(elo.EvaluationCompleted); !ok || measured.GamesPlayed != 3 {
		t.Errorf("want 3 games, found %+v", event)
	}
	result = `{"games_played":3,"results":[{"opponent":"random","wins":2,"wins":2,"losses":1,"draws":0}]}`
	_, err = training.CompletionOf("EVALUATION_COMPLETED", json.RawMessage(result), known)
	if got := faultsOf(err); !slices.Contains(got, "results.wins: stands twice") {
		t.Errorf("want results.wins named, found %v", err)
	}
}
