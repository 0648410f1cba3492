package script

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// The names that facts are about. They are few, so that many facts are about the same thing.
var (
	loopConfigs = rapid.SampledFrom([]string{"hex8_2p", "square8_2p", "hex8_3p"})
	loopNodes   = rapid.SampledFrom([]string{"n1", "n2", "n3"})
	loopTasks   = rapid.SampledFrom([]string{"x1", "x2", "x3"})
	loopModels  = rapid.SampledFrom([]string{"m1", "m2", "m3"})
)

// toldFact is a type of fact, by its canonical or a legacy name, and draws its payloads.
type toldFact struct {
	kind    string
	payload func(*rapid.T) string
}

var loopFacts = []toldFact{
	{"DATA_SYNC_STARTED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"sync_id":"s%d","host":%q,"sync_type":"games"}`, rapid.IntRange(1, 12).Draw(t, "sync"), loopNodes.Draw(t, "node"))
	}},
	{"DATA_SYNC_COMPLETED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"sync_id":"s%d","node_id":%q,"sync_type":"games","config":%q,"games_synced":%d}`,
			rapid.IntRange(1, 12).Draw(t, "sync"), loopNodes.Draw(t, "node"), loopConfigs.Draw(t, "config"), rapid.IntRange(0, 400).Draw(t, "games"))
	}},
	{"sync_failed", func(t *rapid.T) string {
		return fmt.Sprintf(`{"sync_id":"s%d","node_id":%q,"error":"no space"}`, rapid.IntRange(1, 12).Draw(t, "sync"), loopNodes.Draw(t, "node"))
	}},
	{"TRAINING_STARTED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"config_key":%q,"node_id":%q,"job_id":%q}`, loopConfigs.Draw(t, "config"), loopNodes.Draw(t, "node"), loopTasks.Draw(t, "task"))
	}},
	{"TRAINING_COMPLETED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"config":%q,"task_id":%q,"model_id":%q,"success":%v}`,
			loopConfigs.Draw(t, "config"), loopTasks.Draw(t, "task"), loopModels.Draw(t, "model"), rapid.Bool().Draw(t, "success"))
	}},
	{"TRAINING_FAILED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"config_key":%q,"error":"killed","task_id":%q}`, loopConfigs.Draw(t, "config"), loopTasks.Draw(t, "task"))
	}},
	{"QUALITY_DEGRADED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"config_key":%q,"quality_score":%.2f,"threshold":0.6}`, loopConfigs.Draw(t, "config"), rapid.Float64Range(0, 0.6).Draw(t, "score"))
	}},
	{"QUALITY_RECOVERED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"config_key":%q,"quality_score":%.2f}`, loopConfigs.Draw(t, "config"), rapid.Float64Range(0.3, 1).Draw(t, "score"))
	}},
	{"ELO_VELOCITY_CHANGED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"config_key":%q,"velocity":%.1f,"trend":"stable"}`, loopConfigs.Draw(t, "config"), rapid.Float64Range(-1, 3).Draw(t, "velocity"))
	}},
	{"PLATEAU_DETECTED", func(t *rapid.T) string { return fmt.Sprintf(`{"config":%q}`, loopConfigs.Draw(t, "config")) }},
	{"PROMOTION_FAILED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"config_key":%q,"model_id":%q,"reasons":["regression"]}`, loopConfigs.Draw(t, "config"), loopModels.Draw(t, "model"))
	}},
	{"NODE_UNHEALTHY", func(t *rapid.T) string {
		return fmt.Sprintf(`{"node_id":%q,"reason":%q}`, loopNodes.Draw(t, "node"), rapid.SampledFrom([]string{"dead", "disk"}).Draw(t, "reason"))
	}},
	{"NODE_RECOVERED", func(t *rapid.T) string { return fmt.Sprintf(`{"node_id":%q}`, loopNodes.Draw(t, "node")) }},
	{"HOST_OFFLINE", func(t *rapid.T) string { return fmt.Sprintf(`{"host":%q}`, loopNodes.Draw(t, "node")) }},
	{"HOST_ONLINE", func(t *rapid.T) string { return fmt.Sprintf(`{"node_id":%q}`, loopNodes.Draw(t, "node")) }},
	{"P2P_CLUSTER_HEALTHY", func(*rapid.T) string { return `{"healthy_nodes":3,"node_count":3}` }},
	{"P2P_CLUSTER_UNHEALTHY", func(*rapid.T) string { return `{"alive_peers":1,"total_peers":3,"reason":"quorum"}` }},
	{"DAEMON_STATUS_CHANGED", func(t *rapid.T) string {
		return fmt.Sprintf(`{"daemon_type":"sync","host":%q,"status":%q}`, loopNodes.Draw(t, "node"), rapid.SampledFrom([]string{"running", "crashed", "restarting"}).Draw(t, "status"))
	}},
}

// loopResults draws the results of an evaluation: convincing, weak, or without a game.
func loopResults(t *rapid.T, opponents ...string) string {
	strength := rapid.SampledFrom([][3]int{{95, 5, 0}, {93, 4, 2}, {90, 3, 0}, {20, 80, 0}, {0, 0, 40}}).Draw(t, "wins, losses, errors")
	var results []string
	games := 0
	for i, opponent := range slices.Compact(slices.Sorted(slices.Values(opponents))) {
		results = append(results, fmt.Sprintf(`{"opponent":%q,"wins":%d,"losses":%d,"draws":0,"errors":%d}`, opponent, strength[0], strength[1]+i*strength[1], strength[2]))
		games += strength[0] + strength[1] + i*strength[1]
	}
	return fmt.Sprintf(`"games_played":%d,"results":[%s]`, games, strings.Join(results, ","))
}

// outcome draws the result that a worker reports on an item; some are of no use.
func (h heldLease) outcome(t *rapid.T) string {
	if rapid.IntRange(0, 9).Draw(t, "useless") == 7 {
		return `{"note":"nothing"}`
	}
	switch h.kind {
	case "selfplay":
		return fmt.Sprintf(`{"games":%d}`, rapid.IntRange(0, 60).Draw(t, "games"))
	case "training":
		return fmt.Sprintf(`{"model_id":%q}`, loopModels.Draw(t, "model"))
	}
	var asked struct {
		Opponents []string `json:"opponents"`
	}
	if err := json.Unmarshal(h.payload, &asked); err != nil || len(asked.Opponents) == 0 {
		asked.Opponents = []string{"random"}
	}
	return "{" + loopResults(t, asked.Opponents...) + "}"
}
