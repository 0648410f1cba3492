package tournament

import (
	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/tournament"
)

// Withdraw takes a participant out: its unplayed games are lost, and it is not
// paired again.
type Withdraw struct {
	TournamentID tournament.ID `json:"tournament_id"`
	Participant  string        `json:"participant"`
	Reason       string        `json:"reason,omitempty"`
}

func (Withdraw) CommandType() string       { return "tournament.withdraw" }
func (c Withdraw) Stream() domain.StreamID { return c.TournamentID.Stream() }

func withdraw(t tournament.Tournament, c Withdraw, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case t.Started == nil:
		return nil, unknown(c.TournamentID)
	case t.Started.Number(c.Participant) == 0:
		return nil, domain.Errorf(domain.NotFound, "tournament %s has no participant %q", c.TournamentID, domain.Clip(c.Participant, 64))
	case t.Withdrawn(c.Participant):
		return nil, nil
	case t.Over():
		return nil, over(t, c.TournamentID)
	}
	p := progress{t: t, policy: tournament.PolicyOf(facts.Policy)}
	p.say(tournament.Withdrawn{TournamentID: c.TournamentID, Participant: c.Participant, Reason: domain.Clip(c.Reason, maxReason)})
	for table := range t.Tables() {
		if _, plays := table.Seat(c.Participant); plays && table.Outcome == nil {
			p.walkover(table)
		}
	}
	return p.onward()
}

// maxReason limits the text of a reason, in bytes.
const maxReason = 500

// Cancel ends a tournament without a ranking. Its results are kept.
type Cancel struct {
	TournamentID tournament.ID `json:"tournament_id"`
	Reason       string        `json:"reason,omitempty"`
}

func (Cancel) CommandType() string       { return "tournament.cancel" }
func (c Cancel) Stream() domain.StreamID { return c.TournamentID.Stream() }

func cancel(t tournament.Tournament, c Cancel, facts domain.Facts) ([]domain.Event, error) {
	switch {
	case t.Started == nil:
		return nil, unknown(c.TournamentID)
	case t.Cancelled != nil:
		return nil, nil
	case t.Over():
		return nil, over(t, c.TournamentID)
	}
	p := progress{t: t, policy: tournament.PolicyOf(facts.Policy)}
	p.drop(t.Items(), "the tournament is cancelled")
	p.say(tournament.Cancelled{TournamentID: c.TournamentID, Reason: domain.Clip(c.Reason, maxReason)})
	return p.events, nil
}

// named returns the option that checks the id of a tournament.
func named[C domain.Command](what string, id func(C) tournament.ID) commands.SpecOption {
	return commands.Normalize(func(c C, _ domain.Facts) (C, error) {
		return c, domain.Faulty(what, commands.NameFaults("tournament_id", string(id(c))))
	})
}

// Specs returns the specs of the tournament commands.
func Specs() []commands.Spec {
	return []commands.Spec{
		commands.HandleAnswer("start a tournament", start,
			func(_ tournament.Tournament, c Start, _ []domain.Envelope) Begun { return Begun{c.TournamentID} },
			commands.Normalize(completeStart)),
		commands.HandleAnswer("tell how a game of a tournament ended", tellResult,
			func(t tournament.Tournament, c Result, _ []domain.Envelope) Told {
				return Told{t.Started.GameID(c.Round, c.Pairing, max(c.Game, 1)), t.State()}
			},
			commands.Normalize(completeResult)),
		commands.Handle("take a participant out of a tournament", withdraw, named("tournament.withdraw", func(c Withdraw) tournament.ID { return c.TournamentID })),
		commands.Handle("end a tournament without a ranking", cancel, named("tournament.cancel", func(c Cancel) tournament.ID { return c.TournamentID })),
		commands.Handle("take what an item of a tournament brought", takeItem),
	}
}
