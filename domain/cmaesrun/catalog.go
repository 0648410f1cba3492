package cmaesrun

import "github.com/ringrift/rift/domain"

// Events returns the catalogue entries of searches.
func Events() []domain.Def {
	return domain.WithExamples([]domain.Def{
		domain.Define[Started](1, "cmaes", "a search for parameters begins"),
		domain.Define[GenerationAsked](1, "cmaes", "the candidates of a generation are to be evaluated; all that they follow from"),
		domain.Define[CandidatesAsked](1, "cmaes", "these candidates are to be evaluated, by an item for each sample"),
		domain.Define[CandidateEvaluated](1, "cmaes", "a sample of a candidate has a value"),
		domain.Define[CandidateLost](1, "cmaes", "a sample of a candidate will have no value"),
		domain.Define[CandidateLate](1, "cmaes", "a sample's value came when its generation was over, and counts for nothing"),
		domain.Define[PointInjected](1, "cmaes", "a point from elsewhere counts for the generation that is under way"),
		domain.Define[GenerationTold](1, "cmaes", "the search was told what came of a generation"),
		domain.Define[Restarted](1, "cmaes", "a part of the search ended without the target, and another one begins"),
		domain.Define[Finished](1, "cmaes", "the search is over"),
	}, examples)
}

// examples are payloads of the events, one each.
var examples = map[string]string{
	"CMAES_CANDIDATES_ASKED":    `{"run":"tune","generation":1,"candidates":[{"index":0,"x":[0.7085749419323393,2.953478545327941],"samples":1},{"index":1,"x":[0.2550038660262818,2.9780855101936825],"samples":1},{"index":2,"x":[0.794387580719326,1.8711860136238407],"samples":1},{"index":3,"x":[1.692953787735737,2.3803275028200086],"samples":1}]}`,
	"CMAES_CANDIDATE_EVALUATED": `{"run":"tune","generation":0,"index":0,"sample":0,"task_id":"cmaes-tune.0.0.0","node_id":"n1","fitness":3.5,"ready":1}`,
	"CMAES_CANDIDATE_LATE":      `{"run":"hasty","generation":0,"index":2,"sample":0,"task_id":"cmaes-hasty.0.2.0","node_id":"n1","now":1}`,
	"CMAES_CANDIDATE_LOST":      `{"run":"again","generation":0,"index":1,"sample":0,"task_id":"cmaes-again.0.1.0","node_id":"n1","reason":"result: want a number fitness of at most 1e+300, found \"NaN\""}`,
	"CMAES_FINISHED":            `{"run":"tune","state":"done","stop":[{"name":"maxiter","bound":2}],"generation":2,"evaluations":8,"sigma":0.5379687697410503,"best":{"x":[1.692953787735737,2.3803275028200086],"fitness":0.5,"generation":1,"index":3,"evaluation":8},"favourite":[1.5001758498308788,2.4925717638113367]}`,
	"CMAES_GENERATION_ASKED":    `{"run":"tune","generation":1,"population":4,"seed":7,"mean":[0.45826776656926005,2.267366330898961],"favourite":[0.45826776656926005,2.267366330898961],"sigma":0.4912014640938167,"axis_ratio":1.165012,"stds":[0.5144584064791415,0.4609842076052975],"evaluations":4,"state":{"base":4,"run_generation":1,"run_evaluations":4,"sigma0":0.5,"c":"P/GNDJuqm+q/upLjbKsHjT/sLxs2Goma","pc":[-1.21825829231483,0.6012587577458478],"ps":[-1.0559522366033807,0.521154285609429],"moved_at":1},"digest":"08ea0ef28e489beb41b4b8e2b5357e305f0eb88768a397e60c27164035966398"}`,
	"CMAES_GENERATION_TOLD":     `{"run":"tune","generation":0,"candidates":4,"least":2,"median":4.25,"most":6,"evaluations":4,"improved":{"x":[0.2515772737442228,2.266193382968767],"fitness":2,"generation":0,"index":1,"evaluation":4}}`,
	"CMAES_POINT_INJECTED":      `{"run":"tune","generation":3,"x":[0.5,0.25],"fitness":1.5}`,
	"CMAES_RESTARTED":           `{"run":"flat","ended":{"population":4,"sigma0":0.5,"evaluations":4,"generations":1,"stop":[{"name":"tolfun","bound":1e-11},{"name":"tolflatfitness","bound":1}]},"restarts":1,"population":8,"sigma0":0.5}`,
	"CMAES_STARTED":             `{"run":"tune","search":{"x0":[1,2],"sigma0":0.5,"seed":7,"population":4,"max_generations":2,"max_population":1024,"tolerances":{}},"objective":{"kind":"command","task_type":"cmaes","command":{"function":"sphere"}},"lost":"resample"}`,
}
