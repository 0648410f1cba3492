package matchfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// seats lists the columns of players.
var seats = []string{"a", "b", "c", "d"}

// Columns lists the columns of a file in output order. A row is a game (ranks or
// result) or results of a against b (wins, draws, losses).
var Columns = []string{
	"a", "harness_a", "b", "harness_b", "c", "harness_c", "d", "harness_d", "ranks", "wins", "draws", "losses",
	"fact_id", "game_id", "seed", "played_at", "worker",
}

// plain lists the columns of a file without a header.
var plain = []string{"a", "b", "wins", "draws", "losses"}

// ReadCSV reads rows with a header of any Columns, in any order, or result instead
// of ranks; without a header the columns are a,b,wins,draws,losses.
func ReadCSV(in io.Reader, config domain.ConfigKey) (File, error) {
	r := newReader(config)
	source := jsonl.NewRecords(in, maxRow)
	rows := csv.NewReader(source)
	rows.FieldsPerRecord, rows.TrimLeadingSpace, rows.Comment, rows.ReuseRecord = -1, true, '#', true
	var header []string
	for last := 0; ; {
		source.Next()
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			r.fault(broken.Line, "%v", broken.Err)
			break // the rest after an unterminated quote cannot be parsed
		}
		if domain.CodeOf(err) == domain.TooLarge {
			r.fault(last+1, "%v", err)
			break
		}
		if err != nil {
			return File{}, domain.Errorf(domain.Unavailable, "matches: %w", err)
		}
		line, _ := rows.FieldPos(0)
		last = line
		if header == nil {
			record[0] = strings.TrimPrefix(record[0], "\ufeff")
			if header = r.header(line, record); header == nil {
				break // without a header the rows have no meaning
			}
			if slices.Equal(header, plain) && !slices.Equal(trimmed(record), plain) {
				r.row(line, header, record)
			}
			continue
		}
		r.row(line, header, record)
	}
	return r.finish()
}

func trimmed(record []string) []string {
	out := make([]string, len(record))
	for i, word := range record {
		out[i] = strings.ToLower(strings.TrimSpace(word))
	}
	return out
}

// header returns the columns; nil if they are invalid.
func (r *reader) header(line int, record []string) []string {
	words := trimmed(record)
	counts := len(words) == len(plain)
	for i := 2; i < len(words) && counts; i++ {
		_, err := strconv.ParseUint(words[i], 10, 63)
		counts = err == nil
	}
	if counts {
		return plain
	}
	if !slices.Contains(words, "a") || !slices.Contains(words, "b") {
		r.fault(line, "want a header with a, b and wins,draws,losses or ranks or result, or rows a,b,wins,draws,losses, found %q", domain.Clip(strings.Join(words, ","), 80))
		return nil
	}
	before := len(r.faults)
	for i, word := range words {
		if word != "result" && !slices.Contains(Columns, word) {
			r.fault(line, "want columns of %s or result, found %q", strings.Join(Columns, ", "), domain.Clip(word, 64))
		}
		if slices.Contains(words[:i], word) {
			r.fault(line, "column %q stands twice", domain.Clip(word, 64))
		}
	}
	if !slices.Contains(words, "ranks") && !slices.Contains(words, "result") && !slices.Contains(words, "wins") {
		r.fault(line, "want a column that says who won: ranks, result, or wins,draws,losses")
	}
	if len(r.faults) > before {
		return nil
	}
	return words
}

func (r *reader) row(line int, header, record []string) {
	if len(record) > len(header) {
		r.fault(line, "want at most %d fields, found %d", len(header), len(record))
		return
	}
	field := func(name string) string {
		if at := slices.Index(header, name); at >= 0 && at < len(record) {
			return unguarded(strings.TrimSpace(record[at]))
		}
		return ""
	}
	played, err := moment(field("played_at"))
	if err != nil {
		r.fault(line, "played_at: %v", err)
		return
	}
	var players []elo.MatchPlayer
	for _, seat := range seats {
		if name := field(seat); name != "" {
			players = append(players, elo.MatchPlayer{ModelID: name, Harness: field("harness_" + seat)})
		} else if harness := field("harness_" + seat); harness != "" {
			r.fault(line, "harness_%s: want a player in column %s too", seat, seat)
			return
		}
	}
	ranks, result := field("ranks"), field("result")
	if ranks == "" && result == "" {
		r.rowOfResults(line, field, players, elo.ResultsRecorded{FactID: field("fact_id"), PlayedAt: played, Worker: domain.NodeID(field("worker"))})
		return
	}
	match := elo.MatchRecorded{Participants: players, GameID: field("game_id"), PlayedAt: played, Worker: domain.NodeID(field("worker"))}
	if match.Seed, err = seed(field("seed")); err != nil {
		r.fault(line, "seed: %v", err)
		return
	}
	finished := true
	switch {
	case ranks != "" && result != "" || field("wins")+field("draws")+field("losses") != "":
		err = errors.New("want one of ranks, result, and wins,draws,losses")
	case result != "":
		match.Ranks, finished, err = ranksOf(result)
	default:
		match.Ranks, err = numbers(ranks)
	}
	switch {
	case err != nil:
		r.fault(line, "%v", err)
	case !finished:
		r.out.Unfinished++
	default:
		r.game(line, match, field("fact_id"))
	}
}

// numbers parses ranks separated by ; or spaces.
func numbers(text string) ([]int, error) {
	var out []int
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ';' || c == ' ' }) {
		n, err := strconv.Atoi(word)
		if err != nil || len(out) == domain.MaxPlayers {
			return nil, fmt.Errorf("ranks: want up to %d numbers such as 1;2, found %q", domain.MaxPlayers, domain.Clip(text, 64))
		}
		out = append(out, n)
	}
	return out, nil
}

func (r *reader) rowOfResults(line int, field func(string) string, players []elo.MatchPlayer, fact elo.ResultsRecorded) {
	if len(players) != 2 || field("c")+field("d") != "" {
		r.fault(line, "want results of a against b, found %d players", len(players))
		return
	}
	if field("game_id")+field("seed") != "" {
		r.fault(line, "want no game_id or seed with results of many games")
		return
	}
	result := elo.OpponentResult{Opponent: players[1].Name()}
	for _, count := range []struct {
		name string
		to   *int
	}{{"wins", &result.Wins}, {"draws", &result.Draws}, {"losses", &result.Losses}} {
		n, err := strconv.Atoi(field(count.name))
		if err != nil || n < 0 {
			r.fault(line, "%s: want a whole number from 0, found %q", count.name, domain.Clip(field(count.name), 64))
			return
		}
		*count.to = n
	}
	if result.Wins > elo.MaxGames || result.Draws > elo.MaxGames || result.Losses > elo.MaxGames || result.Games() == 0 {
		r.fault(line, "want 1 to %d games, found %d", elo.MaxGames, result.Games())
		return
	}
	fact.ModelID, fact.Results = domain.ModelID(players[0].Name()), []elo.OpponentResult{result}
	r.results(line, fact)
}

// guard is prepended to texts that a spreadsheet would execute, and to those that
// start with it.
const guard = "'"

// guarded returns a value as it is written.
func guarded(value string) string {
	if strings.HasPrefix(value, guard) || output.Cell(value) == guard+value {
		return guard + value
	}
	return value
}

// unguarded reverses guarded. An apostrophe in a file from elsewhere is kept,
// unless the rest would have been guarded.
func unguarded(text string) string {
	if value, found := strings.CutPrefix(text, guard); found && guarded(value) == text {
		return value
	}
	return text
}

// WriteCSV writes facts as rows with a header. What a spreadsheet would execute as
// a formula is prefixed with an apostrophe, which ReadCSV removes.
func WriteCSV(out io.Writer, facts []elo.Fact) error {
	rows := csv.NewWriter(out)
	record := make([]string, len(Columns))
	put := func(name, value string) { record[slices.Index(Columns, name)] = guarded(value) }
	if err := rows.Write(Columns); err != nil {
		return written(err)
	}
	for _, fact := range facts {
		switch {
		case fact.Match != nil:
			clear(record)
			for i, p := range fact.Match.Participants {
				put(seats[i], p.ModelID)
				put("harness_"+seats[i], p.Harness)
			}
			put("ranks", joined(fact.Match.Ranks, ";"))
			put("fact_id", fact.Match.MatchID)
			put("game_id", fact.Match.GameID)
			if fact.Match.Seed != nil {
				put("seed", strconv.FormatUint(*fact.Match.Seed, 10))
			}
			put("played_at", at(fact.Match.PlayedAt))
			put("worker", string(fact.Match.Worker))
			if err := rows.Write(record); err != nil {
				return written(err)
			}
		case fact.Results != nil:
			for _, r := range fact.Results.Results {
				clear(record)
				put("a", string(fact.Results.ModelID))
				put("b", r.Opponent)
				put("wins", strconv.Itoa(r.Wins))
				put("draws", strconv.Itoa(r.Draws))
				put("losses", strconv.Itoa(r.Losses))
				put("fact_id", fact.Results.FactID)
				put("played_at", at(fact.Results.PlayedAt))
				put("worker", string(fact.Results.Worker))
				if err := rows.Write(record); err != nil {
					return written(err)
				}
			}
		}
	}
	rows.Flush()
	return written(rows.Error())
}

func joined(ranks []int, separator string) string {
	words := make([]string, len(ranks))
	for i, rank := range ranks {
		words[i] = strconv.Itoa(rank)
	}
	return strings.Join(words, separator)
}

func written(err error) error {
	if err != nil {
		return domain.Errorf(domain.Unavailable, "matches: %w", err)
	}
	return nil
}
