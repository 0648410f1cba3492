package domain

import (
	"fmt"
	"time"
)

// Seconds is a duration as policies and payloads write it.
type Seconds float64

// Duration converts, to the microsecond that events keep.
func (s Seconds) Duration() time.Duration {
	return time.Duration(float64(s)*1e6) * time.Microsecond
}

// Policy is the document every number of a decision comes from. It is data: a
// change is an event (POLICY_CHANGED), so a replay uses the policy of its time.
// Each area has its section in policy_<area>.go: numbers, defaults, checks.
type Policy struct {
	Work  WorkPolicy  `json:"work"`
	Nodes NodesPolicy `json:"nodes"`
	Admin AdminPolicy `json:"admin"`

	Daemons  DaemonsPolicy  `json:"daemons"`
	Datasync DatasyncPolicy `json:"datasync"`
	Alarms   AlarmsPolicy   `json:"alarms"`

	Training  TrainingPolicy  `json:"training"`
	Elo       EloPolicy       `json:"elo"`
	Gauntlet  GauntletPolicy  `json:"gauntlet"`
	Promotion PromotionPolicy `json:"promotion"`
	Populator PopulatorPolicy `json:"populator"`
}

// DefaultPolicy is policy-default before anybody changed it. The numbers are
// those the original cluster settled on after its outages.
func DefaultPolicy() Policy {
	return Policy{
		Work:     defaultWorkPolicy(),
		Nodes:    defaultNodesPolicy(),
		Admin:    defaultAdminPolicy(),
		Daemons:  defaultDaemonsPolicy(),
		Datasync: defaultDatasyncPolicy(),
		Alarms:   defaultAlarmsPolicy(),
		Training: defaultTrainingPolicy(),

		Elo:       defaultEloPolicy(),
		Gauntlet:  defaultGauntletPolicy(),
		Promotion: defaultPromotionPolicy(),
		Populator: defaultPopulatorPolicy(),
	}
}

// Validate names every number that cannot work.
func (p Policy) Validate() []Fault {
	var c policyChecks
	p.Work.check(&c)
	p.Nodes.check(&c)
	p.Admin.check(&c)
	p.Daemons.check(&c)
	p.Datasync.check(&c)
	p.Alarms.check(&c)
	p.Training.check(&c)
	p.Elo.check(&c)
	p.Gauntlet.check(&c)
	p.Promotion.check(&c)
	p.Populator.check(&c)
	return c
}

// policyChecks gathers the faults of a policy document.
type policyChecks []Fault

func (c *policyChecks) fault(field, format string, values ...any) {
	*c = append(*c, Fault{field, fmt.Sprintf(format, values...)})
}

func (c *policyChecks) positive(field string, v float64) {
	if !(v > 0) {
		c.fault(field, "want more than 0, found %v", v)
	}
}

// PolicyChanged: the named policy document reads like this from here on.
type PolicyChanged struct {
	Name   string `json:"name"`
	Policy Policy `json:"policy"`
	Reason string `json:"reason,omitempty"`
}

// EventType is POLICY_CHANGED.
func (PolicyChanged) EventType() string { return "POLICY_CHANGED" }

// Validate names every number that cannot work.
func (e PolicyChanged) Validate() []Fault {
	faults := e.Policy.Validate()
	if e.Name == "" {
		faults = append(faults, Fault{"name", "required"})
	}
	return faults
}

// PolicyStream is where a policy document's versions live.
func PolicyStream(name string) StreamID { return Stream("policy", name) }

// PolicyEvents is the catalogue of policy documents.
func PolicyEvents() []Def {
	return []Def{
		Define[PolicyChanged](1, "policy", "the named policy document has these numbers from here on"),
	}
}

// PolicyDefaultName is the document every decision follows.
const PolicyDefaultName = "default"
