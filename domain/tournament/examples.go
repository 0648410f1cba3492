package tournament

// examples are payloads of the events, one each.
var examples = map[string]string{
	"TOURNAMENT_CANCELLED":        `{"tournament_id":"cup","reason":"a wrong model"}`,
	"TOURNAMENT_COMPLETED":        `{"tournament_id":"cup","games_played":12,"config_key":"hex8_2p","winner_id":"9f2c","ranking":["9f2c","77aa"],"task_id":"t1"}`,
	"TOURNAMENT_GAMES_ASKED":      `{"tournament_id":"cup","items":[{"task_id":"tournament-5e8dbcff-2239-837e-1.1.1.1","round":1,"pairing":1,"first":1,"games":2,"attempt":1}]}`,
	"TOURNAMENT_GAMES_FAILED":     `{"tournament_id":"cup","task_id":"tournament-5e8dbcff-2239-837e-1.1.1.1","round":1,"pairing":1,"node_id":"gpu-1","reason":"exit code 3"}`,
	"TOURNAMENT_GAME_RECORDED":    `{"tournament_id":"cup","round":1,"pairing":1,"game":{"game":2,"ranks":[1,2],"plies":41,"seed":17,"task_id":"tournament-5e8dbcff-2239-837e-1.1.1.1","node_id":"gpu-1"}}`,
	"TOURNAMENT_ITEMS_DROPPED":    `{"tournament_id":"cup","items":[{"task_id":"tournament-5e8dbcff-2239-837e-1.1.1.1","round":1,"pairing":1,"first":1,"games":2,"attempt":1}],"reason":"its games were told"}`,
	"TOURNAMENT_PAIRING_DECIDED":  `{"tournament_id":"cup","round":1,"pairing":1,"outcome":{"points":[1.5,0.5],"winner":"9f2c"}}`,
	"TOURNAMENT_PAIRING_EXTENDED": `{"tournament_id":"cup","round":1,"pairing":1,"games":4}`,
	"TOURNAMENT_RANKED":           `{"tournament_id":"cup","standings":[{"rank":1,"participant":"9f2c","points":1.5,"games":2,"wins":1,"draws":1,"losses":0,"tiebreaks":{"direct_encounter":1.5,"buchholz_cut_1":0,"buchholz":0.5,"sonneborn_berger":0.25,"wins":1}},{"rank":2,"participant":"77aa","points":0.5,"games":2,"wins":0,"draws":1,"losses":1,"tiebreaks":{"direct_encounter":0.5,"buchholz_cut_1":0,"buchholz":1.5,"sonneborn_berger":0.75,"wins":0}}],"games":2}`,
	"TOURNAMENT_ROUND_PAIRED":     `{"tournament_id":"cup","round":1,"pairings":[{"pairing":1,"players":["9f2c","77aa"]},{"pairing":2,"players":["51bb"]}]}`,
	"TOURNAMENT_STARTED":          `{"tournament_id":"cup","format":"swiss","config_key":"hex8_2p","participants":["9f2c","77aa","51bb"],"games_per_pairing":2,"rounds":2,"seats":2,"system":"monrad","seed":17,"priority":60}`,
	"TOURNAMENT_WITHDRAWN":        `{"tournament_id":"cup","participant":"77aa","reason":"its weights are lost"}`,
}
