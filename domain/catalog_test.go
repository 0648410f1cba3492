package domain

import (
	"errors"
	"maps"
	"slices"
	"testing"
)

// areas lists every area's entries, for tests that look at all of them.
func areas() [][]Def {
	return [][]Def{
		AdminEvents(), DaemonsEvents(), DatasyncEvents(), ElectionEvents(), EloEvents(), GauntletEvents(),
		NodesEvents(), PolicyEvents(), SwimEvents(), TournamentEvents(), TrainingEvents(), WorkEvents(),
	}
}

func wholeCatalog(t testing.TB) *Catalog {
	t.Helper()
	catalog, err := NewCatalog(nil, areas()...)
	if err != nil {
		t.Fatal(err)
	}
	return catalog
}

// faultsOf gives the faults of an error as "field: reason" in order.
func faultsOf(err error) []string {
	var coded *Error
	if !errors.As(err, &coded) {
		return nil
	}
	var texts []string
	for _, fault := range coded.Faults {
		texts = append(texts, fault.Field+": "+fault.Reason)
	}
	return texts
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
	"SHUTDOWN_REQUESTED":         `{"reason":"upgrade","grace_seconds":30}`,
	"OUTBOX_SETTLED":             `{"up_to":4711,"node":"gpu-1"}`,
	"EVENT_UNHANDLED":            `{"event_type":"NODE_READY_FOR_WORK","reporter":"router","reason":"unknown event type"}`,
}

func TestEveryPayloadComesBackAsItWasWritten(t *testing.T) {
	catalog := wholeCatalog(t)
	for _, eventType := range slices.Sorted(maps.Keys(canonical)) {
		t.Run(eventType, func(t *testing.T) {
			event, err := catalog.Decode(eventType, 1, []byte(canonical[eventType]))
			if err != nil {
				t.Fatal(err)
			}
			gotType, version, data, err := catalog.Encode(event)
			if err != nil {
				t.Fatal(err)
			}
			if gotType != eventType || version != 1 || string(data) != canonical[eventType] {
				t.Fatalf("want %s version 1 %s\nfound %s version %d %s", eventType, canonical[eventType], gotType, version, data)
			}
		})
	}
}
