package main

import (
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain/rating"
)

// outcome decodes a result. It returns false for a game that broke off.
func (d *resultDecoder) outcome(row *gameRow, record []string) bool {
	at := d.at
	switch {
	case at.winnersColumn:
		row.Wins, row.ranks = 1, duelRanks[2]
	case at.wins >= 0:
		row.Wins, row.Losses = d.number(row, "wins", field(record, at.wins)), d.number(row, "losses", field(record, at.losses))
		if at.draws >= 0 {
			row.Draws = d.number(row, "draws", field(record, at.draws))
		}
		if row.Games() == 0 {
			d.fault(row.line, "want at least one game, found none")
		}
	case len(at.ranks) > 0:
		for i := range row.players {
			row.ranks = append(row.ranks, d.number(row, "rank", field(record, at.ranks[i])))
		}
	case at.order >= 0:
		row.ranks = d.ranks(row, field(record, at.order))
	case at.finishing || at.result < 0:
		for i := range row.players {
			row.ranks = append(row.ranks, i+1)
		}
	default:
		return d.result(row, field(record, at.result))
	}
	d.settle(row)
	return true
}

func (d *resultDecoder) result(row *gameRow, text string) bool {
	switch strings.ToLower(text) {
	case "*", "unfinished", "aborted", "none":
		return false
	}
	if len(row.players) > 2 {
		row.ranks = d.ranks(row, text)
	} else if len(row.players) == 2 {
		points, ok := resultOf(text, row.players[0], row.players[1])
		if !ok {
			d.fault(row.line, "want 1, 0.5 or 0 of the first player, win, draw or loss, 1-0, 0-1 or 1/2-1/2, * for a game that broke off, or the winner's name, found %s", strconv.Quote(text))
			return true
		}
		row.ranks = duelRanks[points]
	}
	d.settle(row)
	return true
}

// settle turns the ranks of two players into a result, and checks the ranks of more
// players.
func (d *resultDecoder) settle(row *gameRow) {
	if len(row.ranks) == 0 {
		return
	}
	if len(row.ranks) != len(row.players) {
		d.fault(row.line, "want a rank for each of %d players, found %v", len(row.players), row.ranks)
		return
	}
	if !rating.ValidRanks(row.ranks) {
		d.fault(row.line, "want ranks from 1, equal ones for draws, with as many left out as are tied, found %v", row.ranks)
		return
	}
	if len(row.ranks) == 2 {
		row.WDL = rating.WDL{}
		switch {
		case row.ranks[0] < row.ranks[1]:
			row.Wins = 1
		case row.ranks[0] > row.ranks[1]:
			row.Losses = 1
		default:
			row.Draws = 1
		}
	}
}

func (d *resultDecoder) number(row *gameRow, what, text string) int {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > maxRowGames {
		d.fault(row.line, "%s: want a whole number of at most %d, found %s", what, maxRowGames, strconv.Quote(text))
		return 0
	}
	return int(n)
}

// ranks decodes "2 1 3", "2;1;3" and the like: one rank for each seat.
func (d *resultDecoder) ranks(row *gameRow, text string) []int {
	var ranks []int
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.ParseUint(word, 10, 8)
		if err != nil {
			n = 0
		}
		ranks = append(ranks, int(n))
	}
	if len(ranks) != len(row.players) {
		d.fault(row.line, "want a rank for each of %d players, found %s", len(row.players), strconv.Quote(text))
		return nil
	}
	return ranks
}

// resultOf decodes the result of a game of two players: twice the points of the first.
func resultOf(text, first, second string) (int, bool) {
	switch strings.ToLower(text) {
	case "1", "1.0", "1-0", "1:0", "win", "w", "white", "a":
		return 2, true
	case "0.5", ".5", "1/2", "½", "1/2-1/2", "½-½", "0.5-0.5", "draw", "d", "=", "tie":
		return 1, true
	case "0", "0.0", "0-1", "0:1", "loss", "l", "black", "b":
		return 0, true
	}
	switch text {
	case "":
	case first:
		return 2, true
	case second:
		return 0, true
	}
	return 0, false
}
