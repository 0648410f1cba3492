package elo

// examples are payloads of the events, one each.
var examples = map[string]string{
	"ELO_EXCLUSION_LIFTED":     `{"config_key":"hex8_2p","worker":"gpu-7","reason":"its clock is right again","facts":120}`,
	"ELO_GAMES_EXCLUDED":       `{"config_key":"hex8_2p","worker":"gpu-7","reason":"it played with the wrong rules","facts":120}`,
	"ELO_MATCHES_MERGED":       `{"count":19,"source":"gpu-2"}`,
	"ELO_MATCH_RECORDED":       `{"config_key":"hex8_2p","match_id":"f489f2712b36442fdb82b8fb9ea77a94","participants":[{"model_id":"aaaa"},{"model_id":"heuristic"}],"ranks":[1,2],"game_id":"g1","seed":7,"worker":"gpu-1"}`,
	"ELO_RATINGS_RECALCULATED": `{"ratings":12,"matches":4096}`,
	"ELO_RESULTS_RECORDED":     `{"config_key":"hex8_2p","fact_id":"task:e3","model_id":"m3","results":[{"opponent":"m2","wins":60,"losses":40,"draws":0}]}`,
	"ELO_SNAPSHOT":             `{"config_key":"hex8_2p","model_id":"canonical_hex8_2p:gumbel:d2","rating":1542.6,"games":16}`,
	"ELO_STANDINGS_CHANGED":    `{"config_key":"hex8_2p","standings":[{"model_id":"cccc","over":"bbbb","los":0.989545}]}`,
	"ELO_UPDATED":              `{"config_key":"hex8_2p","model_id":"9f2c","old":1500,"new":1512.5,"error":14.25,"games_played":120}`,
	"ELO_VELOCITY_CHANGED":     `{"config_key":"hex8_2p","velocity":6.2,"trend":"accelerating","previous_velocity":1.1}`,
}
