package tournament

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ringrift/rift/domain"
)

// The formats of a bracket.
const (
	FormJSON = "json"
	FormText = "text"
	FormSVG  = "svg"
)

func checkForm(form string) error {
	switch form {
	case "", FormJSON, FormText, FormSVG:
		return nil
	}
	return domain.Faulty("tournament.bracket", []domain.Fault{{Field: "form", Reason: fmt.Sprintf("want json, text or svg, found %q", domain.Clip(form, 64))}})
}

// Form returns the bracket as text or SVG, if requested or if the request accepts
// that but not JSON. An empty content type stands for JSON.
func (b Bracket) Form(accept string) (contentType string, body []byte) {
	form := b.form
	if form == "" && !strings.Contains(accept, "json") {
		switch {
		case strings.Contains(accept, "image/svg+xml"):
			form = FormSVG
		case strings.Contains(accept, "text/plain"):
			form = FormText
		}
	}
	switch form {
	case FormText:
		return "text/plain; charset=utf-8", []byte(b.Text())
	case FormSVG:
		return "image/svg+xml", []byte(b.SVG(""))
	}
	return "", nil
}

// number formats points for people.
func number(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// ResultText returns a pairing's result as one word.
func (p Pairing) ResultText() string {
	switch {
	case p.Bye:
		return "bye"
	case p.Failure != "":
		return "stalled"
	case p.Result == nil && p.Played == 0:
		return "-"
	case p.Result == nil:
		return fmt.Sprintf("%d/%d", p.Played, p.Games)
	}
	parts := make([]string, len(p.Result.Points))
	for i, points := range p.Result.Points {
		parts[i] = number(points)
	}
	return strings.Join(parts, ":")
}

// Title returns the line above a bracket.
func (b Bracket) Title() string {
	title := fmt.Sprintf("%s: %s, %s, %d games", b.TournamentID, strings.ReplaceAll(string(b.Format), "_", " "), b.State, b.Games)
	if b.ConfigKey != "" {
		title += " of " + string(b.ConfigKey)
	}
	return title
}

// Title returns a round's heading.
func (r Round) Title() string {
	if r.Part == "" {
		return fmt.Sprintf("Round %d", r.Round)
	}
	return fmt.Sprintf("Round %d, %s", r.Round, strings.ReplaceAll(r.Part, "_", " "))
}

// plain removes what a terminal or SVG cannot show.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// textName limits a name in a table, in bytes, and textWidth a line, in characters.
const (
	textName  = 20
	textWidth = 80
)

// middle shortens a name to at most that many characters and keeps both its ends, because
// names of models often differ only at the end.
func middle(name string, most int) string {
	letters := []rune(name)
	if len(letters) <= most || most < 3 {
		return name
	}
	end := (most - 1) / 2
	return string(letters[:most-1-end]) + "…" + string(letters[len(letters)-end:])
}

// Text returns the bracket for a terminal: standings, then the rounds, the last one
// first.
func (b Bracket) Text() string {
	var out strings.Builder
	line := func(format string, args ...any) { out.WriteString(plain(fmt.Sprintf(format, args...)) + "\n") }
	line("%s", b.Title())
	if b.Reason != "" {
		line("%s", b.Reason)
	}
	out.WriteString("\n")
	wide := len("participant")
	for _, s := range b.Standings {
		wide = max(wide, len(domain.Clip(s.Participant, textName)))
	}
	out.WriteString(strings.TrimRight(fmt.Sprintf("%4s  %-*s %6s  %-8s %s", "rank", wide, "participant", "points", "w-d-l", b.breaksTitle()), " ") + "\n")
	for _, s := range b.Standings {
		var breaks []string
		for _, v := range s.TieBreaks.Values() {
			breaks = append(breaks, fmt.Sprintf("%6s", number(v)))
		}
		name := domain.Clip(s.Participant, textName)
		if s.Withdrawn {
			breaks = append(breaks, " withdrawn")
		}
		out.WriteString(strings.TrimRight(plain(fmt.Sprintf("%4d  %-*s %6s  %-8s %s", s.Rank, wide, name, number(s.Points), fmt.Sprintf("%d-%d-%d", s.Wins, s.Draws, s.Losses), strings.Join(breaks, ""))), " ") + "\n")
	}
	for i := len(b.Rounds) - 1; i >= 0; i-- {
		r := b.Rounds[i]
		out.WriteString("\n")
		line("%s", r.Title())
		for _, p := range r.Pairings {
			names := make([]string, len(p.Players))
			for i, name := range p.Players {
				names[i] = middle(name, (textWidth-len("   1    ")-len(p.ResultText())-3*(len(names)-1))/len(names))
			}
			row := fmt.Sprintf("%4d  %s  %s", p.Pairing, strings.Join(names, " - "), p.ResultText())
			if p.Result != nil && p.Result.Reason != "" && !p.Bye {
				reason := "(" + p.Result.Reason + ")"
				if utf8.RuneCountInString(row+" "+reason) > textWidth {
					line("%s", row)
					row = "     " + domain.Clip(reason, textWidth-6)
				} else {
					row += " " + reason
				}
			}
			line("%s", row)
		}
	}
	return out.String()
}

// breaksTitle returns the heading of the tie-breaks.
func (b Bracket) breaksTitle() string {
	if len(b.Standings) == 0 || len(b.Standings[0].TieBreaks.Values()) == 0 {
		return ""
	}
	return "direct buch-1  buch   s-b  wins"
}
