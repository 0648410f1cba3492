// Package report registers the endpoints for reports: what `rift report` prints for
// a log, made from the log of the node that is called. It folds nothing itself and
// reads no read model: the process provides a Reporter.
//
// Read Reporter, then Area.
package report

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// Reporter makes reports of the process's log for the endpoints.
type Reporter interface {
	Report(ctx context.Context, q Request) (Answer, domain.Position, error)
}

// Request asks for a report of a kind in a form. Settings are the flags of `rift
// report`, without the leading dashes.
type Request struct {
	Kind, Form string
	Settings   []Setting
}

// Setting is one setting of a report; an empty value is the same as no setting.
type Setting struct{ Name, Value string }

// The forms of a report.
const (
	FormJSON     = "json"
	FormMarkdown = "md"
	FormCSV      = "csv"
	FormTable    = "table"
	FormSVG      = "svg"
)

var contentTypes = map[string]string{
	FormMarkdown: "text/markdown; charset=utf-8", FormCSV: "text/csv; charset=utf-8",
	FormTable: "text/plain; charset=utf-8", FormSVG: "image/svg+xml",
}

// Answer is a report: a document for programs, or the text of another form.
type Answer struct {
	Report json.RawMessage `json:"report" doc:"the report as rift report -o json has it"`

	form string
	body []byte
}

// Made returns the answer for a report in a form.
func Made(form string, body []byte) Answer {
	if form == FormJSON {
		var short bytes.Buffer
		if json.Compact(&short, body) == nil {
			body = short.Bytes()
		}
		return Answer{Report: body}
	}
	return Answer{form: form, body: body}
}

// Form implements transport.Formed.
func (a Answer) Form(string) (contentType string, body []byte) { return contentTypes[a.form], a.body }

// Stretch selects the part of the log that a report covers, and its form.
type Stretch struct {
	From string `query:"from" doc:"begin at this position (1200, or -1000 from the end) or time"`
	To   string `query:"to" doc:"end at this position or time; empty: now"`
	Form string `query:"form" default:"json" doc:"json, md, csv, table, or svg, which is a drawing"`
}

// question is a struct of parameters for a report: a stretch of the log, and the
// settings specific to a kind.
type question interface {
	stretch() Stretch
	settings() []Setting
}

func (s Stretch) stretch() Stretch  { return s }
func (Stretch) settings() []Setting { return nil }

type (
	gauntlet struct {
		Stretch
		GauntletID string `query:"gauntlet_id" doc:"as execute answers; empty: the one that began last"`
	}
	tournament struct {
		Stretch
		TournamentID string `query:"tournament_id" doc:"the one to report in full; empty: the only one"`
	}
	search struct {
		Stretch
		Run string `query:"run" doc:"the one to report in full; empty: the only one"`
	}
	promotions struct {
		Stretch
		ConfigKey string `query:"config_key" doc:"report this game only"`
	}
	ratings struct {
		Stretch
		ConfigKey string `query:"config_key" doc:"the game; empty: the only one"`
		Method    string `query:"method" doc:"elo, mle, glicko2, whr, pl, or published; empty: the policy's"`
		Mode      string `query:"mode" doc:"all settings as a program has them: bayeselo, ordo"`
		Anchors   string `query:"anchors" doc:"ratings that are given, NAME=RATING,…, or none"`
		Draws     string `query:"draws" doc:"what a draw is: half, win_loss, davidson, bayeselo"`
		DrawElo   string `query:"draw_elo" doc:"mle: draw constant of draws bayeselo; empty: fitted"`
		Scale     string `query:"scale" doc:"what a point is: logistic, ordo, bayeselo"`
		Mean      string `query:"mean" doc:"mean rating if no anchor is given; whr: rating of an unknown player"`
		Prior     string `query:"prior" doc:"virtual draws of each player"`
		Advantage string `query:"advantage" doc:"Elo of the first seat, or fit"`
		Drift     string `query:"drift" doc:"whr: Elo² that a day adds to what is not known"`
		Tau       string `query:"tau" doc:"glicko2: how fast volatility changes"`
		Initial   string `query:"initial" doc:"elo: rating before the first game"`
		Period    string `query:"period" doc:"elo: game, or day: all games of a day move ratings at once"`
		K         string `query:"k" doc:"most points a game moves, 32, or 40:30,20 for 40 below 30 games, then 20"`
	}
)

func (q gauntlet) settings() []Setting   { return []Setting{{"gauntlet-id", q.GauntletID}} }
func (q tournament) settings() []Setting { return []Setting{{"tournament", q.TournamentID}} }
func (q search) settings() []Setting     { return []Setting{{"run", q.Run}} }
func (q promotions) settings() []Setting { return []Setting{{"config-key", q.ConfigKey}} }

func (q ratings) settings() []Setting {
	return []Setting{
		{"config-key", q.ConfigKey},
		{"method", q.Method},
		{"mode", q.Mode},
		{"anchors", q.Anchors},
		{"draws", q.Draws},
		{"draw-elo", q.DrawElo},
		{"scale", q.Scale},
		{"mean", q.Mean},
		{"prior", q.Prior},
		{"advantage", q.Advantage},
		{"drift", q.Drift},
		{"tau", q.Tau},
		{"initial", q.Initial},
		{"period", q.Period},
		{"k", q.K},
	}
}

// tell returns the route of a report. It reads only the part of the log that the
// report covers.
func tell[Q question](kind, about string) transport.Route {
	return transport.Tell("/reports/"+kind, "reports."+kind, func(ctx context.Context, b transport.Backend, q Q) (Answer, domain.Position, error) {
		log := q.stretch()
		if log.Form != FormJSON && contentTypes[log.Form] == "" {
			return Answer{}, 0, domain.Faulty("report", []domain.Fault{{Field: "form", Reason: "want json, md, csv, table or svg, found " + domain.Clip(log.Form, 64)}})
		}
		reporter, err := transport.LentBy[Reporter](b)
		if err != nil {
			return Answer{}, 0, err
		}
		return reporter.Report(ctx, Request{kind, log.Form, append(q.settings(), Setting{"from", log.From}, Setting{"to", log.To})})
	}, transport.Scans(), transport.About(about))
}

// Area returns what this area adds to a process.
func Area() transport.Area {
	return transport.Area{
		Name: "report",
		Routes: []transport.Route{
			tell[Stretch]("queue", "how the queue did: ages, waits, what starved, what was lost, why items wait"),
			tell[Stretch]("nodes", "how the nodes did: busy, idle, wasted GPU hours, flaps"),
			tell[Stretch]("cluster", "who led when, where that was disputed, and where no majority answered"),
			tell[ratings]("elo", "how strong models are: ratings, crosstable, who is likely stronger, curves"),
			tell[gauntlet]("gauntlet", "how a gauntlet came to its decision: the path of its test, strength, workers"),
			tell[tournament]("tournament", "how tournaments went: crosstable, tie-breaks, seats, byes"),
			tell[search]("cmaes", "how searches went: fitness, step size, restarts, what was lost"),
			tell[promotions]("promotions", "what was promoted, and what each model gained over the one before"),
		},
	}
}
