package sshtournament

// examples are payloads of the events, one each.
var examples = map[string]string{
	"SSH_GAME_RECORDED":        `{"run_id":"tiers","shard":1,"host":"play@box-1:22","game":{"game":2,"ranks":[1,2],"plies":41,"seed":17}}`,
	"SSH_HOST_DROPPED":         `{"run_id":"tiers","host":"play@box-1:22","reason":"its key is not in known_hosts"}`,
	"SSH_SHARD_BEGUN":          `{"run_id":"tiers","shard":1,"attempt":1,"host":"play@box-1:22","node_id":"n1"}`,
	"SSH_SHARD_ENDED":          `{"run_id":"tiers","shard":1,"attempt":1,"host":"play@box-1:22","how":"failed","reason":"exit code 3"}`,
	"SSH_TOURNAMENT_CANCELLED": `{"run_id":"tiers","reason":"a wrong command"}`,
	"SSH_TOURNAMENT_FINISHED":  `{"run_id":"tiers","games":2,"missing":0,"standings":[{"rank":1,"participant":"D2","points":2,"games":2,"wins":2,"draws":0,"losses":0,"tiebreaks":{"direct_encounter":0,"buchholz_cut_1":0,"buchholz":0,"sonneborn_berger":0,"wins":1}},{"rank":2,"participant":"D1","points":0,"games":2,"wins":0,"draws":0,"losses":2,"tiebreaks":{"direct_encounter":0,"buchholz_cut_1":0,"buchholz":2,"sonneborn_berger":0,"wins":0}}]}`,
	"SSH_TOURNAMENT_STARTED":   `{"run_id":"tiers","config_key":"hex8_2p","hosts":["play@box-1:22"],"participants":["D1","D2"],"games_per_matchup":2,"games_per_shard":10,"command":["rift","play"],"retries":1,"max_parallel_per_host":1,"shard_seconds":3600,"seed":17}`,
}
