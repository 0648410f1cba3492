package training

// examples are payloads of the events, one each.
var examples = map[string]string{
	"DATA_SYNC_COMPLETED":  `{"sync_id":"s1","node_id":"gpu-1","sync_type":"games","config_key":"hex8_2p","files_synced":3,"games_synced":350,"bytes_synced":1048576,"duration_seconds":12.5}`,
	"DATA_SYNC_FAILED":     `{"sync_id":"s1","node_id":"gpu-1","error":"no route to host","sync_type":"npz","config_key":"hex8_2p","retry_count":2}`,
	"DATA_SYNC_STARTED":    `{"sync_id":"s1","node_id":"gpu-1","sync_type":"games","config_key":"hex8_2p"}`,
	"EVALUATION_COMPLETED": `{"config_key":"hex8_2p","model_id":"9f2c","games_played":100,"results":[{"opponent":"random","wins":48,"losses":1,"draws":0,"errors":1},{"opponent":"heuristic","wins":30,"losses":18,"draws":2}],"elo":1512,"opponents":["random","heuristic"],"task_id":"t1","node_id":"gpu-1"}`,
	"EVALUATION_FAILED":    `{"config_key":"hex8_2p","model_id":"aaaa","task_id":"gauntlet-b712fe11-dbeb-831d-2","node_id":"gpu-1","error":"all 40 games against heuristic went the same way: one game was played again and again"}`,
	"EXPLORATION_BOOST":    `{"config_key":"hex8_2p","boost_factor":1.8,"duration_seconds":3600,"reason":"plateau","temperature":1.4,"games_factor":1.7}`,
	"MODEL_PROMOTED":       `{"config_key":"hex8_2p","model_id":"9f2c","previous":"77aa","gates":[{"gate":"games","ok":true,"input":120,"wanted":50}]}`,
	"PLATEAU_DETECTED":     `{"config_key":"hex8_2p","plateau_type":"overfitting","consecutive":2}`,
	"PROMOTION_FAILED":     `{"config_key":"hex8_2p","model_id":"9f2c","reasons":["games","elo_gain"],"win_rate":0.41,"gates":[{"gate":"games","ok":false,"input":40,"wanted":50,"reason":"too few games"},{"gate":"cooldown","ok":true}]}`,
	"QUALITY_DEGRADED":     `{"config_key":"square19_3p","quality_score":0.47,"threshold":0.6,"previous_score":0.66,"degradation_delta":-0.19}`,
	"QUALITY_RECOVERED":    `{"config_key":"square19_3p","quality_score":0.71,"previous_score":0.47}`,
	"SELFPLAY_ADJUSTED":    `{"config_key":"hex8_2p","cause":"quality","rate":0.6,"factors":[{"cause":"quality","factor":0.6,"until":"2026-01-14T01:00:00Z"},{"cause":"velocity","factor":1}],"previous_rate":1,"search_budget":200}`,
	"SELFPLAY_COMPLETE":    `{"config_key":"hex8_2p","games_played":50,"task_id":"t1","node_id":"gpu-1","duration_seconds":90,"success":true}`,
	"SELFPLAY_FACTOR_SET":  `{"config_key":"hex8_2p","cause":"quality","factor":0.5,"until":"2026-01-02T03:34:05Z","search_budget":200,"reason":"quality is below what it should be"}`,
	"SYNC_STALLED":         `{"sync_id":"s1","node_id":"gpu-1","timeout_seconds":600,"sync_type":"models"}`,
	"TRAINING_BLOCKED":     `{"config_key":"hex8_2p","reason":"operator","until":"2026-01-02T03:14:05Z","detail":"moving disks"}`,
	"TRAINING_COMPLETED":   `{"config_key":"hex8_2p","task_id":"t1","model_id":"9f2c","success":true,"final_loss":0.25,"train_loss":0.25,"val_loss":0.31,"samples":100000,"games":400,"duration_seconds":5400.5,"node_id":"gpu-1"}`,
	"TRAINING_DATA_NOTED":  `{"config_key":"hex8_2p","games":30,"source":"sync:s1","games_since":30,"games_in_total":30}`,
	"TRAINING_FAILED":      `{"config_key":"hex8_2p","error":"out of memory","task_id":"t1","node_id":"gpu-1"}`,
	"TRAINING_REFUSED":     `{"config_key":"square8_2p","task_id":"q2","node_id":"gpu-4","holder_task_id":"q1","holder_node_id":"gpu-3"}`,
	"TRAINING_REQUESTED":   `{"config_key":"hex8_2p","task_id":"training-hex8_2p-d95b14ff-d92a","games":60,"wanted":50,"reason":"first games"}`,
	"TRAINING_STARTED":     `{"config_key":"hex8_2p","node_id":"gpu-1","task_id":"t1","epochs":20,"batch_size":512,"samples":100000}`,
	"TRAINING_UNBLOCKED":   `{"config_key":"hex8_2p","reason":"operator","detail":"its time is over"}`,
}
