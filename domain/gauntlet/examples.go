package gauntlet

// examples are payloads of the events, one each.
var examples = map[string]string{
	"EVALUATION_CLAIMED":       `{"evaluation_id":"e7","model":"9f2c","config_key":"hex8_2p","node_id":"gpu-1"}`,
	"EVALUATION_DEAD":          `{"evaluation_id":"e7","model":"9f2c","attempts":3,"reason":"ran over its time three times"}`,
	"EVALUATION_QUEUED":        `{"evaluation_id":"e7","model":"9f2c","config_key":"hex8_2p","harness":"gumbel"}`,
	"EVALUATION_RESET":         `{"evaluation_id":"e7","reason":"ran over its time"}`,
	"GAUNTLET_CONTINUED":       `{"gauntlet_id":"hex8_2p:bbbb","after":"gauntlet-c57f394b-6070-8b96-1.2","results":[],"llr":0,"task_id":"late","games":1,"seed":1}`,
	"GAUNTLET_FINISHED":        `{"gauntlet_id":"hex8_2p:bbbb","task_id":"gauntlet-c57f394b-6070-8b96-1","node_id":"gpu-1","games":500,"results":[{"opponent":"random","wins":97,"losses":2,"draws":1},{"opponent":"heuristic","wins":80,"losses":15,"draws":5},{"opponent":"aaaa","wins":224,"losses":56,"draws":20,"pentanomial":[6,13,20,29,82]}],"score":0.828,"llr":3.638991164785711,"elo":219.86876874730973,"error":48.03296665010116,"decision":"better","reason":"decided after 300 of at most 400 games against aaaa"}`,
	"GAUNTLET_STARTED":         `{"gauntlet_id":"hex8_2p:m1","config_key":"hex8_2p","model_id":"m1","opponents":["random","heuristic"],"games":100,"task_id":"gauntlet-5e8dbcff-2239-837e-1","round":1,"seed":8985383361202000}`,
	"GAUNTLET_PART_PLAYED":     `{"gauntlet_id":"hex8_2p:bbbb","task_id":"gauntlet-c57f394b-6070-8b96-1","part":0,"node_id":"gpu-1","results":[{"opponent":"aaaa","wins":14,"losses":6,"draws":0,"pentanomial":[0,0,6,0,4]}],"counted":{"parts":1,"results":[{"opponent":"aaaa","wins":14,"losses":6,"draws":0,"pentanomial":[0,0,6,0,4]}],"looks":[{"part":0,"games":20,"llr":0.31,"lower":-2.94,"upper":2.94,"elo":147.2,"error":160.5}]},"queue":[{"part":16,"task_id":"gauntlet-c57f394b-6070-8b96-1.17"}]}`,
	"GAUNTLET_WORKER_EXCLUDED": `{"gauntlet_id":"hex8_2p:bbbb","node_id":"gpu-3","reason":"its results differ from those of other workers","p":0.00002,"residual":5.1,"games":40,"counted":{"parts":1},"queue":[{"part":1,"task_id":"gauntlet-c57f394b-6070-8b96-1.2-2"}]}`,
	"POLLER_RESUMED":           `{"poller":"events","node_id":"gpu-1","after_id":40,"observer":"router"}`,
}
