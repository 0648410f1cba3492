package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/rating"
)

// The bounds of a file of results.
const (
	maxResultRows  = 50_000_000
	maxResultFault = 100 // faults that are listed; further ones are only counted
	maxPlayerName  = 256
	maxRowGames    = 1_000_000_000
)

// gameRow is one row of a file of results: one game, or several of a pair.
type gameRow struct {
	line    int
	players []string // in the order of seats
	ranks   []int
	rating.WDL
	day int64 // from the time column: days since 1970, or the whole number in the file
}

// gameFile is a file of results.
type gameFile struct {
	rows       []gameRow
	timed      bool // has a time column
	seated     bool // the player columns are seats, not the finishing order
	unfinished int  // rows of games that broke off
	unread     []string
}

// seatNames and the variables below are the column names that are recognized, in lower
// case with underscores.
var (
	seatNames = [][]string{
		{"a", "white", "first", "player_a", "player1", "player_1", "model_a", "home", "winner"},
		{"b", "black", "second", "player_b", "player2", "player_2", "model_b", "away", "loser"},
		{"c", "third", "player_c", "player3", "player_3", "model_c"},
		{"d", "fourth", "player_d", "player4", "player_4", "model_d"},
	}
	rankNames = [][]string{
		{"rank_a", "rank1", "rank_1", "a_rank"},
		{"rank_b", "rank2", "rank_2", "b_rank"},
		{"rank_c", "rank3", "rank_3", "c_rank"},
		{"rank_d", "rank4", "rank_4", "d_rank"},
	}
	winNames    = []string{"wins", "w", "wins_a", "a_wins", "won"}
	drawNames   = []string{"draws", "d", "drawn", "ties"}
	lossNames   = []string{"losses", "l", "wins_b", "b_wins", "lost"}
	resultNames = []string{"result", "score", "outcome", "points"}
	orderNames  = []string{"ranks", "order", "places"}
	timeNames   = []string{"day", "time", "date", "period", "t", "game_time", "at"}
)

// duelRanks are the ranks of both players of a lost, a drawn and a won game.
var duelRanks = [3][]int{{2, 1}, {1, 1}, {1, 2}}

// columns holds the index of each column in a row; −1 for a column that the file does
// not have.
type columns struct {
	seats, ranks             []int
	wins, draws, losses      int
	result, order, time      int
	finishing, winnersColumn bool
}

// readResults decodes a file of results: comma-separated, with or without a header. A
// row holds one game or the games of a pair. Every fault names its line.
func readResults(in io.Reader) (*gameFile, error) {
	d := &resultDecoder{reader: csv.NewReader(in), out: &gameFile{}}
	d.reader.ReuseRecord, d.reader.FieldsPerRecord, d.reader.TrimLeadingSpace, d.reader.Comment = true, -1, true, '#'
	for {
		record, err := d.reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			d.fault(broken.Line, "%v", broken.Err)
			break // an open quote swallows the rest of the file
		}
		if err != nil {
			return nil, domain.Errorf(domain.Unavailable, "results: %w", err)
		}
		line, _ := d.reader.FieldPos(0)
		if d.count++; d.count > maxResultRows {
			return nil, domain.Errorf(domain.TooLarge, "results: want at most %d rows, found more", maxResultRows)
		}
		d.record(line, record)
	}
	if len(d.faults) == 0 && len(d.out.rows) == 0 && d.more == 0 {
		d.fault(max(1, d.count), "want rows of games, found none")
	}
	if d.more > 0 {
		d.faults = append(d.faults, domain.Fault{Field: "and", Reason: fmt.Sprintf("%d faults more", d.more)})
	}
	return d.out, domain.Faulty("results", d.faults)
}

type resultDecoder struct {
	reader *csv.Reader
	at     *columns
	names  map[string]string // interns the names of players
	room   []string          // allocated in bulk for the players of the next rows
	out    *gameFile
	faults []domain.Fault
	more   int
	count  int
}

func (d *resultDecoder) fault(line int, format string, args ...any) {
	if len(d.faults) == maxResultFault {
		d.more++
		return
	}
	d.faults = append(d.faults, domain.Fault{Field: "line " + strconv.Itoa(line), Reason: fmt.Sprintf(format, args...)})
}

func (d *resultDecoder) record(line int, record []string) {
	if d.at == nil {
		if line == 1 && len(record) > 0 {
			record[0] = strings.TrimPrefix(record[0], "\ufeff")
		}
		header := d.header(line, record)
		if header {
			return
		}
	}
	if len(d.at.seats) == 0 {
		return // the header is invalid
	}
	row := gameRow{line: line}
	before := len(d.faults) + d.more
	d.players(&row, record)
	if d.at.time >= 0 {
		d.time(&row, field(record, d.at.time))
	}
	if finished := d.outcome(&row, record); !finished {
		d.out.unfinished++
		return
	}
	if len(d.faults)+d.more == before {
		d.out.rows = append(d.out.rows, row)
	}
}

func field(record []string, at int) string {
	if at < 0 || at >= len(record) {
		return ""
	}
	return strings.TrimSpace(record[at])
}

// header finds the columns by the names in the first row, or by the shape of that row
// if it is no header. It reports whether the row was a header.
func (d *resultDecoder) header(line int, record []string) bool {
	index := map[string]int{}
	var words []string
	for i, word := range record {
		name := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(word)))
		if _, twice := index[name]; !twice {
			index[name] = i
		}
		words = append(words, name)
	}
	find := func(names []string) int {
		for _, name := range names {
			if at, known := index[name]; known {
				return at
			}
		}
		return -1
	}
	if find(seatNames[0]) < 0 || find(seatNames[1]) < 0 {
		return d.shape(line, record)
	}
	c := &columns{wins: find(winNames), losses: find(lossNames), result: find(resultNames), order: find(orderNames), time: find(timeNames)}
	_, winner := index["winner"]
	_, ordered := index["third"]
	c.winnersColumn = winner && c.wins < 0
	for seat, names := range seatNames {
		at := find(names)
		if at < 0 {
			break
		}
		c.seats = append(c.seats, at)
		if rank := find(rankNames[seat]); rank >= 0 {
			c.ranks = append(c.ranks, rank)
		}
	}
	c.draws = find(drawNames)
	if len(c.seats) == 4 && words[max(c.draws, 0)] == "d" {
		c.draws = -1 // the fourth player
	}
	c.finishing = ordered && c.order < 0 && len(c.ranks) == 0
	d.at, d.out.timed, d.out.seated = c, c.time >= 0, !c.finishing && !c.winnersColumn
	c.faults(d, line)
	known := append([]int{c.wins, c.draws, c.losses, c.result, c.order, c.time}, append(slices.Clone(c.seats), c.ranks...)...)
	for i, word := range words {
		if !slices.Contains(known, i) {
			d.out.unread = append(d.out.unread, word)
		}
	}
	return true
}

// faults lists what a header lacks to tell who won.
func (c *columns) faults(d *resultDecoder, line int) {
	counts := c.wins >= 0 && c.losses >= 0
	switch {
	case (c.wins >= 0) != (c.losses >= 0):
		d.fault(line, "want both wins and losses, found one of them")
	case len(c.ranks) > 0 && len(c.ranks) != len(c.seats):
		d.fault(line, "want a rank for each of %d players, found %d", len(c.seats), len(c.ranks))
	case len(c.seats) > 2 && counts:
		d.fault(line, "want ranks of %d players, found wins and losses", len(c.seats))
	case !counts && c.result < 0 && c.order < 0 && len(c.ranks) == 0 && !c.finishing && !c.winnersColumn && len(c.seats) == 2:
		d.fault(line, "want columns that say who won: wins,draws,losses or result, or rank_a,rank_b")
	default:
		return
	}
	c.seats = nil
}

// shape finds the columns of a file without a header by its first row:
// a,b,wins,draws,losses or a,b,result.
func (d *resultDecoder) shape(line int, record []string) bool {
	c := &columns{seats: []int{0, 1}, wins: -1, draws: -1, losses: -1, result: -1, order: -1, time: -1}
	d.at, d.out.seated = c, true
	whole := func(at int) bool {
		_, err := strconv.ParseUint(field(record, at), 10, 63)
		return err == nil
	}
	switch {
	case len(record) == 5 && whole(2) && whole(3) && whole(4):
		c.wins, c.draws, c.losses = 2, 3, 4
		return false
	case len(record) == 3:
		if _, ok := resultOf(field(record, 2), field(record, 0), field(record, 1)); ok {
			c.result = 2
			return false
		}
	}
	d.fault(line, "want a header such as a,b,wins,draws,losses or a,b,result, or rows of that form, found %d columns that begin %s", len(record), strconv.Quote(strings.Join(record[:min(len(record), 5)], ",")))
	c.seats = nil
	return true
}

func (d *resultDecoder) players(row *gameRow, record []string) {
	if n := len(d.at.seats); cap(d.room)-len(d.room) < n {
		d.room = make([]string, 0, 1024*n)
	}
	from := len(d.room)
	defer func() { d.room = d.room[:from+len(row.players)] }()
	row.players = d.room[from:from:min(from+len(d.at.seats), cap(d.room))]
	for _, at := range d.at.seats {
		name := field(record, at)
		if name == "" && len(row.players) >= 2 {
			break // a row with fewer players than columns
		}
		switch {
		case name == "":
			d.fault(row.line, "want the name of player %d, found nothing", len(row.players)+1)
		case len(name) > maxPlayerName:
			d.fault(row.line, "want names of at most %d bytes, found %d", maxPlayerName, len(name))
		case slices.Contains(row.players, name):
			d.fault(row.line, "%s against itself", strconv.Quote(name))
		}
		if d.names == nil {
			d.names = map[string]string{}
		}
		one, known := d.names[name]
		if !known {
			one = strings.Clone(name)
			d.names[one] = one
		}
		row.players = append(row.players, one)
	}
}

// time decodes a whole number, or a date or moment as days since 1970.
func (d *resultDecoder) time(row *gameRow, text string) {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		row.day = n
		return
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			row.day = at.Unix() / 86400
			return
		}
	}
	d.fault(row.line, "want a whole number, a date such as 2026-01-31 or a time of RFC 3339, found %s", strconv.Quote(text))
}

// openResults reads a file of results; "-" is the standard input.
func (a *app) openResults(path string) (*gameFile, error) {
	in, err := a.openFile("results", path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	results, err := readResults(in)
	if err != nil {
		return nil, err
	}
	if results.unfinished > 0 {
		a.note("rift: %s broke off and count as nothing", pluralGames(results.unfinished))
	}
	if len(results.unread) > 0 {
		a.note("rift: columns that were not read: %s", strings.Join(results.unread, ", "))
	}
	return results, nil
}

func pluralGames(n int) string {
	if n == 1 {
		return "1 game"
	}
	return strconv.Itoa(n) + " games"
}
