package tournament

// examples are payloads of the events, one each.
var examples = map[string]string{
	"TOURNAMENT_COMPLETED": `{"tournament_id":"cup","games_played":12,"config_key":"hex8_2p","winner_id":"9f2c","ranking":["9f2c","77aa"],"task_id":"t1"}`,
}
