package projections

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/sched"
)

// ExplainTask asks why an item is not running, or why a node gets nothing.
// Exactly one of the two is given.
type ExplainTask struct {
	Task string    `query:"task"`
	Node string    `query:"node"`
	Now  time.Time `query:"-"` // the moment asked about
}

// At fills in the moment asked about.
func (q ExplainTask) At(now time.Time) ExplainTask {
	q.Now = now
	return q
}

// ExplainAnswer says it gate by gate: first the gates of what was asked about,
// then how many of the others each gate keeps out.
type ExplainAnswer struct {
	Verdict string      `json:"verdict"`
	Gates   []Gate      `json:"gates"`
	Nodes   *int        `json:"nodes,omitempty"`  // of an item: how many are known
	Queued  *int        `json:"queued,omitempty"` // of a node: how many items are
	Able    *int        `json:"able,omitempty"`   // of these, that every gate lets through
	Closed  []GateCount `json:"closed,omitempty"` // of these, that a gate keeps out; one may count for several
	Place   *Place      `json:"place,omitempty"`  // of a queued item
	Next    *NextItem   `json:"next,omitempty"`   // of a node: what a claim would get
	Decided []string    `json:"decided,omitempty"`
}

// GateCount is how many a gate keeps out.
type GateCount struct {
	Gate    string `json:"gate"`
	Count   int    `json:"count"`
	Unknown int    `json:"unknown,omitempty"` // let through for want of a fact
	Example string `json:"example,omitempty"` // who is kept out, and why
}

// Place is where a queued item stands.
type Place struct {
	Class        string  `json:"class"`
	Starving     bool    `json:"starving"`
	AheadInGroup int     `json:"ahead_in_group"` // items of its type, config and requirements that come first, up to a page
	Config       string  `json:"config_key"`
	Weight       int     `json:"weight"`
	Flows        int     `json:"flows"`              // configs of its class that have items queued
	FlowsAhead   int     `json:"flows_ahead"`        // of these, that are owed more
	BoundTurns   int     `json:"bound_turns"`        // turns of its class, by nodes that may have it, within which it starts once it starves
	StarvesAt    *string `json:"starves_at"`         // null: it does already
	Promised     string  `json:"promised,omitempty"` // a node that makes room for it

	Room     *domain.Room `json:"room,omitempty"`      // that a node keeps for it
	Overdue  bool         `json:"overdue,omitempty"`   // it has starved for so long that a node may keep room for it
	RoomFrom string       `json:"room_from,omitempty"` // when it will have
}

// NextItem is what a claim would get.
type NextItem struct {
	TaskID  domain.TaskID `json:"task_id"`
	Reasons []string      `json:"reasons"`
}

// ExplainWork answers gate by gate why an item is where it is, or what a node
// would get.
func ExplainWork(v View, q ExplainTask) (ExplainAnswer, error) {
	switch {
	case (q.Task == "") == (q.Node == ""):
		return ExplainAnswer{}, domain.Faulty("query", []domain.Fault{{Field: "task", Reason: "want exactly one of task and node"}})
	case q.Task != "":
		return explainTask(v, q)
	}
	return explainNode(v, q)
}

// market is what a claim at the moment asked about would be decided by.
func (q ExplainTask) market(v View) (Market, domain.Policy, error) {
	policy, _, err := PolicyInForce(v)
	if err != nil {
		return Market{}, policy, err
	}
	rules, err := policy.Work.Rules()
	market := Market{Rules: rules, Now: q.Now}
	if around, ok := v.(Surroundings); ok {
		market.Matcher = around.Matcher()
	}
	return market, policy, err
}

func explainTask(v View, q ExplainTask) (ExplainAnswer, error) {
	row, found, err := WorkItemsTable.Get(v, q.Task)
	if err != nil {
		return ExplainAnswer{}, err
	}
	if !found {
		return ExplainAnswer{}, domain.Errorf(domain.NotFound, "no item %q is known", q.Task)
	}
	answer := ExplainAnswer{Verdict: string(row.State), Gates: []Gate{{"not_final", !row.State.Final(), "item is " + string(row.State)}}}
	if row.State.Final() {
		answer.Verdict = fmt.Sprintf("%s: nothing will run it again", row.State)
		if row.Error != "" {
			answer.Verdict += " (" + row.Error + ")"
		} else if row.State == domain.WorkCancelled && row.Reason != "" {
			answer.Verdict += " (" + row.Reason + ")"
		}
		return answer, nil
	}
	if answer.Gates, err = itemGates(v, row, answer.Gates); err != nil {
		return ExplainAnswer{}, err
	}
	switch {
	case row.State.Held():
		answer.Verdict = fmt.Sprintf("%s on node %s", row.State, row.NodeID)
		if row.Decision != nil {
			answer.Decided = row.Decision.Reasons(row.NodeID, row.ConfigKey, row.Priority)
		}
		return answer, nil
	case row.State == domain.WorkBlocked:
		answer.Verdict, err = blockedVerdict(v, row)
		return answer, err
	case row.State != domain.WorkQueued:
		return answer, nil
	}
	return answer, explainQueued(v, q, row, &answer)
}

// blockedVerdict says whether what an item waits for can still be done.
func blockedVerdict(v View, row TaskRow) (string, error) {
	for _, dependency := range row.BlockedOn {
		other, known, err := WorkItemsTable.Get(v, string(dependency))
		if err != nil {
			return "", err
		}
		if known && other.State.Failed() {
			return fmt.Sprintf("blocked: %s is %s and will not be done; an item that replaces it unblocks this one, or cancel it", dependency, other.State), nil
		}
	}
	return string(row.State), nil
}

// itemGates are the gates that are the item's own.
func itemGates(v View, row TaskRow, gates []Gate) ([]Gate, error) {
	var open []string
	for _, dependency := range row.BlockedOn {
		other, known, err := WorkItemsTable.Get(v, string(dependency))
		if err != nil {
			return nil, err
		}
		state := "not known yet"
		if known {
			state = string(other.State)
		}
		open = append(open, fmt.Sprintf("%s is %s", dependency, state))
	}
	backoff := "none"
	if row.NotBefore != nil {
		backoff = "next attempt not before " + row.NotBefore.Format(domain.Timestamp)
	}
	lease := "nobody holds it"
	if row.State.Held() && row.Deadline != nil {
		lease = fmt.Sprintf("node %s holds lease %d until %s", row.NodeID, row.Lease, row.Deadline.Format(domain.Timestamp))
	}
	return append(gates,
		Gate{sched.GateDependencies, len(open) == 0, or(strings.Join(open, "; "), "all done")},
		Gate{"back_off", row.State != domain.WorkWaiting, backoff},
		Gate{"attempts", row.Attempts < row.MaxAttempts, fmt.Sprintf("%d of %d spent", row.Attempts, row.MaxAttempts)},
		Gate{"free", !row.State.Held(), lease},
	), nil
}

// explainQueued looks at every node there is, and at who stands before the item.
func explainQueued(v View, q ExplainTask, row TaskRow, answer *ExplainAnswer) error {
	market, policy, err := q.market(v)
	if err != nil {
		return err
	}
	group, found, err := workReadyTable.Get(v, groupOf(row))
	if err != nil || !found {
		return err
	}
	var counts gateCounts
	known, able := 0, 0
	for entry, err := range NodesTable.Scan(v, Span{}) {
		if err != nil {
			return err
		}
		known++
		gates, err := NodeGates(v, entry.Row.NodeID, q.Now, policy.Nodes)
		if err != nil {
			return err
		}
		p, err := onePicker(v, Claimant{Node: entry.Row.NodeID, Level: levelOf(v, entry.Row.NodeID)}, market)
		if err != nil {
			return err
		}
		between, err := p.gatesOf(p.stall(groupOf(row), group))
		if err != nil {
			return err
		}
		if counts.add("node "+string(entry.Row.NodeID), 1, schedGates(gates), between) {
			able++
		}
	}
	answer.Nodes, answer.Able, answer.Closed = &known, &able, counts.list()
	if answer.Place, err = placeOf(v, row, market); err != nil {
		return err
	}
	ahead := answer.Place.AheadInGroup
	answer.Gates = append(answer.Gates,
		Gate{"capable_node", known == 0 || able > 0, fmt.Sprintf("%d of %d known nodes may run it now", able, known)},
		Gate{"order", ahead == 0 && answer.Place.FlowsAhead == 0, fmt.Sprintf("%d like it come first, and %d of %d configs of class %s", ahead, answer.Place.FlowsAhead, answer.Place.Flows, answer.Place.Class)})
	switch {
	case known > 0 && able == 0:
		answer.Verdict = "queued: no known node may run it now"
		if room := answer.Place.Room; room != nil {
			answer.Verdict = fmt.Sprintf("queued: node %s keeps its room for it until it fits, at most until %s", room.NodeID, room.Until.Format(domain.Timestamp))
		}
	case ahead > 0:
		answer.Verdict = fmt.Sprintf("queued: %d items like it come first", ahead)
	case answer.Place.FlowsAhead > 0:
		answer.Verdict = fmt.Sprintf("queued: %d configs are owed more than %s", answer.Place.FlowsAhead, or(row.ConfigKey, "(none)"))
	default:
		answer.Verdict = "queued: the next claim that it fits may take it"
	}
	return nil
}

// placeOf says who comes before a queued item, were everything else open.
func placeOf(v View, row TaskRow, market Market) (*Place, error) {
	var claimant Claimant
	if row.Pin != nil {
		claimant.Node = row.Pin.NodeID
	}
	p, err := newPicker(v, claimant, market)
	if err != nil {
		return nil, err
	}
	defer p.close()
	key := groupOf(row)
	at := slices.IndexFunc(p.groups, func(g *stall) bool { return g.key == key })
	if at < 0 {
		return nil, domain.Errorf(domain.Internal, "item %s is queued, and its group has no row", row.TaskID)
	}
	own := p.groups[at]
	class := market.Rules.Class(own.rank)
	starves := row.QueuedAt.Add(time.Duration(class.StarveAfterSeconds) * time.Second)
	place := &Place{
		Class: class.Name, Starving: market.Now.After(starves), Config: row.ConfigKey,
		Weight: own.flow.Weight, Flows: p.classes[own.rank].Flows, Promised: string(row.Promised),
	}
	if limits := market.Rules.Policy(); limits.Reservations > 0 {
		from := starves.Add(time.Duration(limits.ReserveAfter) * time.Second)
		place.Overdue = market.Now.After(from)
		if place.Starving && !place.Overdue {
			place.RoomFrom = from.UTC().Format(domain.Timestamp)
		}
	}
	if row.Room != nil && row.Room.Until.After(market.Now) {
		place.Room = row.Room
	}
	if !place.Starving {
		text := starves.UTC().Format(domain.Timestamp)
		place.StarvesAt = &text
	}
	table, keyOf := workQueueTable, StandingRow.byPriority
	if place.Starving {
		table, keyOf = workAgeTable, StandingRow.byAge
	}
	until := keyOf(row.standing(), key)
	for entry, err := range table.Scan(v, Span{Prefix: key + "\x00"}) {
		if err != nil {
			return nil, err
		}
		if entry.Key >= until || place.AheadInGroup == maxPage {
			break
		}
		place.AheadInGroup++
	}
	if err := p.readFlow(own); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, g := range p.groups {
		if g.rank != own.rank || seen[g.flowKey] || g.flow == own.flow {
			continue
		}
		seen[g.flowKey] = true
		if err := p.readFlow(g); err != nil {
			return nil, err
		}
		if g.flow.Finish < own.flow.Finish {
			place.FlowsAhead++
		}
	}
	place.BoundTurns = boundTurns(place, p.classes[own.rank], market.Rules)
	return place, nil
}

// boundTurns is the starvation bound by weight of domain/sched, in turns:
// (k + 1) · (2·(c·W/w + n) + n), with every R-th turn another's.
func boundTurns(place *Place, class sched.Class, rules *sched.Rules) int {
	w := max(place.Weight, 1)
	share := (int(rules.MaxCost())*class.Weight + w - 1) / w
	ordinary := (place.AheadInGroup + 1) * (2*(share+class.Flows) + class.Flows)
	return ordinary + ordinary/(rules.Policy().ReservedEvery-1) + 1
}

func explainNode(v View, q ExplainTask) (ExplainAnswer, error) {
	market, policy, err := q.market(v)
	if err != nil {
		return ExplainAnswer{}, err
	}
	node := domain.NodeID(q.Node)
	gates, err := NodeGates(v, node, q.Now, policy.Nodes)
	if err != nil {
		return ExplainAnswer{}, err
	}
	p, err := newPicker(v, Claimant{Node: node, Level: levelOf(v, node)}, market)
	if err != nil {
		return ExplainAnswer{}, err
	}
	defer p.close()
	queued, able := 0, 0
	var counts gateCounts
	for _, g := range p.groups {
		between, err := p.gatesOf(g)
		if err != nil {
			return ExplainAnswer{}, err
		}
		queued += g.row.Queued
		if counts.add(fmt.Sprintf("%s %s", g.row.TaskType, g.row.Top.TaskID), g.row.Queued, between) {
			able += g.row.Queued
		}
	}
	slots := Gate{sched.GateSlots, p.used < p.slots, p.taken()}
	answer := ExplainAnswer{
		Gates:  append(gates, slots, Gate{"queue", queued > 0, fmt.Sprintf("%d items are queued", queued)}),
		Queued: &queued, Able: &able, Closed: counts.list(),
	}
	if room, kept, err := p.roomGate(nil); err != nil {
		return ExplainAnswer{}, err
	} else if kept {
		answer.Gates = append(answer.Gates, Gate{room.Name, room.OK, room.Reason})
	}
	if closedGate(gates) == nil {
		next, found, err := p.next()
		if err != nil {
			return ExplainAnswer{}, err
		}
		if found && next.Room != nil && !next.Kept {
			answer.Gates = append(answer.Gates, Gate{sched.GateReserved, false, fmt.Sprintf("its next claim keeps its room for %s, which wants %d of %d slots", next.TaskID, next.Room.Slots, next.Room.SlotsOf)})
		}
		if found && next.Room == nil {
			row, _, err := WorkItemsTable.Get(v, string(next.TaskID))
			if err != nil {
				return ExplainAnswer{}, err
			}
			answer.Next = &NextItem{next.TaskID, next.Decision.Reasons(node, row.ConfigKey, row.Priority)}
		}
	}
	closed := closedGate(answer.Gates)
	switch {
	case answer.Next != nil:
		answer.Verdict = fmt.Sprintf("may claim: %d of %d queued items fit, the next is %s", able, queued, answer.Next.TaskID)
	case closed != nil:
		answer.Verdict = "gets nothing: " + closed.Reason
	default:
		answer.Verdict = fmt.Sprintf("gets nothing: it may have none of %d queued items", queued)
	}
	return answer, nil
}

func (p *picker) taken() string {
	if p.slots == unbounded {
		return fmt.Sprintf("%d slots taken; it never said of how many", p.used)
	}
	return fmt.Sprintf("%d of %d slots taken", p.used, p.slots)
}

// gatesOf are all gates between a group and the node, with their reasons. They
// let through what open does.
func (p *picker) gatesOf(g *stall) ([]sched.Gate, error) {
	gates := p.asker.Gates(g.requirement())
	gates = append(gates, sched.Gate{
		Name: sched.GateSlots, OK: p.used+p.cost(g) <= p.slots,
		Reason: fmt.Sprintf("%s, %d wanted", p.taken(), p.cost(g)),
	})
	if room, kept, err := p.roomGate(g); err != nil {
		return nil, err
	} else if kept {
		gates = append(gates, room)
	}
	live, err := p.liveOf(g)
	if err != nil {
		return nil, err
	}
	if g.kind.OnePerNode && g.row.ConfigKey != "" {
		gates = append(gates, sched.Gate{
			Name: sched.GateOnePerNode, OK: live == 0,
			Reason: fmt.Sprintf("it holds %d items of type %s and config %s", live, g.row.TaskType, g.row.ConfigKey),
		})
	}
	if pin := g.row.Pin; pin != "" && pin != p.node {
		gates = append(gates, sched.Gate{Name: sched.GatePinned, Reason: "meant for node " + string(pin)})
	}
	if exclusion, excluded := p.excluded(g); excluded {
		gates = append(gates, sched.Gate{
			Name:   sched.GateExcluded,
			Reason: fmt.Sprintf("kept from node %s until %s: %s", p.node, exclusion.Until.Format(domain.Timestamp), or(exclusion.Reason, "asked for")),
		})
	}
	held, err := p.paused(g)
	if err != nil {
		return nil, err
	}
	if held.paused {
		gates = append(gates, sched.Gate{Name: sched.GatePaused, Reason: fmt.Sprintf("type %s is paused for %s", g.row.TaskType, held.reasons)})
	}
	if most := g.kind.RunningCap; most != nil {
		running, err := p.runningOf(g)
		if err != nil {
			return nil, err
		}
		gates = append(gates, sched.Gate{
			Name: sched.GateRunning, OK: running < *most,
			Reason: fmt.Sprintf("%d of at most %d of type %s run", running, *most, g.row.TaskType),
		})
	}
	return gates, nil
}

// schedGates are gates of nodes as the scheduler lists them.
func schedGates(gates []Gate) []sched.Gate {
	list := make([]sched.Gate, len(gates))
	for i, gate := range gates {
		list[i] = sched.Gate{Name: gate.Gate, OK: gate.OK, Reason: gate.Reason}
	}
	return list
}

// gateCounts counts who is kept out by which gate, in the order of the gates.
type gateCounts struct{ counts []GateCount }

// add counts n that are alike, and tells whether every gate lets them through.
func (c *gateCounts) add(who string, n int, lists ...[]sched.Gate) (open bool) {
	open = true
	for _, gate := range slices.Concat(lists...) {
		if gate.OK && !gate.Unknown {
			continue
		}
		at := slices.IndexFunc(c.counts, func(count GateCount) bool { return count.Gate == gate.Name })
		if at < 0 {
			at = len(c.counts)
			c.counts = append(c.counts, GateCount{Gate: gate.Name})
		}
		count := &c.counts[at]
		if gate.OK {
			count.Unknown += n
			continue
		}
		open = false
		if count.Count += n; count.Example == "" {
			count.Example = who + ": " + gate.Reason
		}
	}
	return open
}

// list gives the gates that keep most out first.
func (c *gateCounts) list() []GateCount {
	slices.SortStableFunc(c.counts, func(a, b GateCount) int { return b.Count - a.Count })
	return c.counts
}

// closedGate is the first gate that does not let through.
func closedGate(gates []Gate) *Gate {
	for _, gate := range gates {
		if !gate.OK {
			return &gate
		}
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
