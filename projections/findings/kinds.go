package findings

// Severity is the importance of a finding.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // the cluster may have made two contradictory decisions, or lost something
	Warning  Severity = "warning"  // something did not work as intended
)

// The kinds of findings. Scripts rely on these codes; people see the names in
// FindingKinds.
const (
	FindingLeaders   = "more_than_one_leader"
	FindingHearsay   = "term_by_hearsay"
	FindingStale     = "stale_append"
	FindingElections = "flapping_leader"
	FindingQuorum    = "quorum_lost"
	FindingMajority  = "quorum_no_majority"
	FindingVoter     = "flapping_voter"
	FindingFailover  = "standby_took_over"
	FindingDamaged   = "events_damaged"
	FindingTwice     = "item_done_twice"
	FindingAfterEnd  = "item_after_end"
	FindingStuck     = "item_stuck"
	FindingLost      = "item_lost"
	FindingInvented  = "item_invented"
	FindingStarved   = "item_starved"
	FindingFailing   = "attempts_failing"
	FindingOverLimit = "queue_over_limit"
	FindingWiring    = "dead_wiring"
	FindingGhost     = "ghost"
	FindingFlapping  = "flapping_node"
	FindingOverlap   = "overlapping_outages"
	FindingSilent    = "silent_stop"
	FindingZombie    = "zombie_processes"
	FindingCursor    = "cursor_went_back"
	FindingUnrated   = "evaluation_lost"
	FindingIdle      = "idle_node"
	FindingBreaker   = "node_keeps_failing"
	FindingCluster   = "cluster_unhealthy"
	FindingLine      = "critical_line"
	FindingGap       = "recording_gap"
)

// KindOf describes a kind of findings: its code, its name for people, and its meaning.
type KindOf struct{ Kind, Name, About string }

// FindingKinds lists the kinds.
var FindingKinds = []KindOf{
	{FindingLeaders, "more than one leader", "two nodes led at the same time, or one term had two leaders"},
	{FindingHearsay, "epoch adopted from gossip", "a node took over a higher term because another one mentioned it"},
	{FindingStale, "append of an old term", "a node appended in a term that was over: a newer leader stands before it"},
	{FindingElections, "flapping leader", "the leader changed again and again within minutes"},
	{FindingQuorum, "quorum lost", "fewer voters answered than the quorum"},
	{FindingMajority, "quorum is no majority", "the quorum was not more than half of the voters: two leaders could both have one"},
	{FindingVoter, "flapping voter", "a voter came and went again and again within minutes"},
	{FindingFailover, "fail-over", "a standby took over by itself"},
	{FindingDamaged, "damaged log", "events of the log were damaged on disk, and a salvage could not read them"},
	{FindingTwice, "work done twice", "an item was completed again after it was done"},
	{FindingAfterEnd, "work after its end", "an item was claimed, failed or completed after its end"},
	{FindingStuck, "stuck item", "a held item's lease ran out unnoticed, or an item waits for one that will never be done"},
	{FindingLost, "lost item", "an item was dropped from the queue, or worked on without ever having been added"},
	{FindingInvented, "unscheduled job", "a node made up items that nobody added"},
	{FindingStarved, "starved items", "queued items were never claimed while the log went on"},
	{FindingFailing, "failing attempts", "attempts failed one after the other on a node"},
	{FindingOverLimit, "queue over its limit", "more items were pending than the hard limit, or an item was refused for it"},
	{FindingWiring, "unhandled event", "an event was published that nobody listened to or knew"},
	{FindingGhost, "stale worker", "somebody without the live lease reported on an item"},
	{FindingFlapping, "flapping node", "a node changed its health again and again within minutes"},
	{FindingOverlap, "overlapping outages", "a node was reported unhealthy for another reason, or by another source, while it was"},
	{FindingSilent, "nothing dispatched", "nothing was claimed or finished for a day while items were queued"},
	{FindingZombie, "zombie processes", "processes ran on a node that belonged to no item"},
	{FindingCursor, "offset rewound", "a reader of other processes' events went on from before where it had been"},
	{FindingUnrated, "lost evaluation", "a model was given up without a measurement"},
	{FindingIdle, "idle node", "a GPU did nothing while there was work for it"},
	{FindingBreaker, "breaker opened", "failures kept coming on a node or a part of it, which was kept off work for it"},
	{FindingCluster, "unhealthy cluster", "too few nodes were healthy for anything but what matters most"},
	{FindingLine, "critical line", "a line of the highest level that says nothing else"},
	{FindingGap, "gap in the record", "nothing was recorded for a while: what happened then is not known"},
}

// NameOf returns the name of a kind for people.
func NameOf(kind string) string {
	for _, known := range FindingKinds {
		if known.Kind == kind {
			return known.Name
		}
	}
	return kind
}
