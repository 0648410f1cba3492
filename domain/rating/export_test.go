package rating

// FitEstimated is Fit with errors estimated instead of factored.
func FitEstimated(results []Result, options FitOptions) (*Fitted, error) {
	options.Draws, options.Scale = orElse(options.Draws, Half), orElse(options.Scale, Logistic)
	t, err := gather(results, options)
	if err != nil {
		return nil, err
	}
	model := newPairModel(t, options)
	solved, err := maximise("fit", model, t.problem(), model.start())
	if err != nil {
		return nil, err
	}
	r := newReport(t, model, solved, options)
	r.cov = newEstimated(solved.graph)
	r.out.Exact = false
	return r.finish()
}
