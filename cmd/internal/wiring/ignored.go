package wiring

// Ignored lists the events that no projection and no reactor handles, each with
// the reason. A test holds it against the catalogue: an event is handled or it
// stands here.
func Ignored() map[string]string {
	const (
		loop     = "a fact of the training loop: kept on the log and read through /events; nothing here decides on it"
		recorded = "only recordings of other clusters have it: kept as evidence"
		process  = "an act of the process itself: the log is where it is looked up"
	)
	return map[string]string{
		"BACKPRESSURE_RELEASED":      recorded,
		"EVALUATION_CLAIMED":         recorded,
		"EVALUATION_QUEUED":          recorded,
		"EVALUATION_RESET":           recorded,
		"ELO_MATCHES_MERGED":         recorded,
		"ELO_RATINGS_RECALCULATED":   recorded,
		"ELO_SNAPSHOT":               recorded,
		"NODE_AUTOSTARTED":           recorded,
		"NODE_AUTOSTART_FAILED":      recorded,
		"NODE_BREAKER_OPENED":        recorded,
		"SWIM_MEMBER_CHANGED":        recorded,
		"CLUSTER_HEALTHY":            loop,
		"CLUSTER_UNHEALTHY":          loop,
		"DAEMON_CRASH_LOOP_DETECTED": loop,
		"DAEMON_STATUS_CHANGED":      loop,
		"DATA_SYNC_COMPLETED":        loop,
		"DATA_SYNC_FAILED":           loop,
		"DATA_SYNC_STARTED":          loop,
		"ELO_UPDATED":                loop,
		"ELO_VELOCITY_CHANGED":       loop,
		"EVALUATION_COMPLETED":       loop,
		"EXPLORATION_BOOST":          loop,
		"MODEL_PROMOTED":             loop,
		"PLATEAU_DETECTED":           loop,
		"PROMOTION_FAILED":           loop,
		"QUALITY_DEGRADED":           loop,
		"QUALITY_RECOVERED":          loop,
		"SELFPLAY_ADJUSTED":          loop,
		"SELFPLAY_COMPLETE":          loop,
		"SYNC_STALLED":               loop,
		"TOURNAMENT_COMPLETED":       loop,
		"TRAINING_COMPLETED":         loop,
		"TRAINING_FAILED":            loop,
		"TRAINING_STARTED":           loop,
		"HANDLER_FAILED":             "its dead letter is written by the read models' own store, with the rows",
		"OUTBOX_SETTLED":             "the read models' own store reads it, to forget what the leader has run",
		"SHUTDOWN_REQUESTED":         process,
	}
}
