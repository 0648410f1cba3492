package projections

import (
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// ClaimRow says which items a command took, so that its retry gets the same.
type ClaimRow struct {
	Tasks []domain.TaskID `json:"tasks"`
}

// ClaimAgeRow is a command over several items in the order of their time; the row
// under no name says how far those that are forgotten reach.
type ClaimAgeRow struct {
	Command string    `json:"command,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Taken   int       `json:"taken,omitempty"` // commands that were remembered so far
	From    string    `json:"from,omitempty"`  // the first that is not forgotten
}

var (
	workClaimsTable    = Table[ClaimRow]{"work.claims"}
	workClaimAgesTable = Table[ClaimAgeRow]{"work.claim_ages"}
)

// ClaimMemory is for how long the repetition of a command over several items is
// answered with what it took: longer than anybody tries again. Later, it is a
// command like any other.
const ClaimMemory = time.Hour

// Every claimSweep-th remembered command is when old ones are forgotten, at most
// claimsSwept of them.
const (
	claimSweep  = 32
	claimsSwept = 4 * claimSweep
)

// claimsReach is the key of the row that says how far the forgotten reach.
const claimsReach = "~"

// takenBy remembers what a command over several items took, for its repetition.
func takenBy(tx Tx, e domain.Envelope, id domain.TaskID) error {
	command := e.Meta.Command
	if command == "" {
		return nil
	}
	claim, known, err := workClaimsTable.Get(tx, command)
	if err != nil {
		return err
	}
	if !known {
		if err := age(tx, e); err != nil {
			return err
		}
	}
	claim.Tasks = append(slices.Clip(claim.Tasks), id)
	return workClaimsTable.Put(tx, command, claim)
}

// age notes when a command was heard of first, and forgets old ones now and then.
func age(tx Tx, e domain.Envelope) error {
	if err := workClaimAgesTable.Put(tx, positionKey(e.Position), ClaimAgeRow{Command: e.Meta.Command, At: e.Time}); err != nil {
		return err
	}
	reach, _, err := workClaimAgesTable.Get(tx, claimsReach)
	if err != nil {
		return err
	}
	if reach.Taken++; reach.Taken%claimSweep == 0 {
		if reach.From, err = forgetClaims(tx, reach.From, e.Time.Add(-ClaimMemory)); err != nil {
			return err
		}
	}
	return workClaimAgesTable.Put(tx, claimsReach, reach)
}

// forgetClaims forgets commands from a key on that are older than a moment, and
// gives the key from which they are not.
func forgetClaims(tx Tx, from string, until time.Time) (string, error) {
	var old []Entry[ClaimAgeRow]
	for entry, err := range workClaimAgesTable.Scan(tx, Span{From: from}) {
		if err != nil {
			return from, err
		}
		if from = entry.Key; entry.Key == claimsReach || entry.Row.At.After(until) || len(old) == claimsSwept {
			break
		}
		old = append(old, entry)
	}
	for _, one := range old {
		if err := workClaimsTable.Delete(tx, one.Row.Command); err != nil {
			return from, err
		}
		if err := workClaimAgesTable.Delete(tx, one.Key); err != nil {
			return from, err
		}
	}
	return from, nil
}

// ClaimedBefore lists the items that a command took when it first ran, if that is
// no longer ago than ClaimMemory.
func ClaimedBefore(v View, command string) ([]domain.TaskID, error) {
	row, _, err := workClaimsTable.Get(v, command)
	return row.Tasks, err
}
