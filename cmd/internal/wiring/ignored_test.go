package wiring

// ignoredEvents lists the events that no projection and no reactor handles, each with
// the reason. A test holds it against the catalogue: an event is handled or it
// stands here.
func ignoredEvents() map[string]string {
	ignored := map[string]string{}
	for _, those := range []struct {
		reason string
		events []string
	}{
		{"only recordings of other clusters have it: kept as evidence", []string{
			"EVALUATION_CLAIMED",
			"EVALUATION_QUEUED",
			"EVALUATION_RESET",
			"ELO_MATCHES_MERGED",
			"ELO_RATINGS_RECALCULATED",
			"ELO_SNAPSHOT",
			"NODE_AUTOSTARTED",
			"NODE_AUTOSTART_FAILED",
			"SWIM_MEMBER_CHANGED",
		}},
		{"a fact of the training loop: kept on the log and read through /events; nothing here decides on it", []string{
			"EVALUATION_FAILED",
		}},
		{"the read models' own store reads it, to forget what the leader has run", []string{
			"OUTBOX_SETTLED",
		}},
		{"the read models' own store reads it, to build one of them again", []string{
			"PROJECTION_REBUILD_REQUESTED",
		}},
		{"rankings compute from the facts who stands over whom: kept as what was known at that time", []string{
			"ELO_STANDINGS_CHANGED",
		}},
		{"an act of the process itself: the log is where it is looked up", []string{
			"SHUTDOWN_REQUESTED",
		}},
	} {
		for _, event := range those.events {
			ignored[event] = those.reason
		}
	}
	return ignored
}
