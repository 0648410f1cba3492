package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/pairing"
)

// roundRow is one row of a tournament's results.
type roundRow struct {
	line, round int
	meeting     pairing.Meeting
}

// maxRoundRows bounds the rows of a file of rounds.
const maxRoundRows = 100_000

// openRounds reads a file of a tournament's results; "-" is the standard input.
func (a *app) openRounds(path string) ([]roundRow, error) {
	in, err := a.openFile("results", path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	return readRounds(in)
}

// readRounds decodes rows of round,white,black,result, or of round,white,black and
// White's wins, draws and losses if a header names these. Without a header the columns
// are the first four.
func readRounds(in io.Reader) ([]roundRow, error) {
	reader := csv.NewReader(in)
	reader.FieldsPerRecord, reader.TrimLeadingSpace, reader.Comment = -1, true, '#'
	var rows []roundRow
	var faults []domain.Fault
	fault := func(line int, format string, args ...any) {
		faults = append(faults, domain.Fault{Field: "line " + strconv.Itoa(line), Reason: fmt.Sprintf(format, args...)})
	}
	var at map[string]int
	for len(faults) < maxResultFault {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			fault(broken.Line, "%v", broken.Err)
			break
		}
		if err != nil {
			return nil, domain.Errorf(domain.Unavailable, "results: %w", err)
		}
		line, _ := reader.FieldPos(0)
		if len(rows) == maxRoundRows {
			return nil, domain.Errorf(domain.TooLarge, "results: want at most %d rows, found more", maxRoundRows)
		}
		if at == nil {
			var header bool
			if at, header = roundColumns(record); header {
				continue
			}
		}
		row, reason := readRound(line, record, at)
		if reason != "" {
			fault(line, "%s", reason)
			continue
		}
		rows = append(rows, row)
	}
	return rows, domain.Faulty("results", faults)
}

// roundColumns finds the columns by the header; false if the first row is no header.
func roundColumns(record []string) (map[string]int, bool) {
	at := map[string]int{}
	for i, word := range record {
		at[strings.ToLower(strings.TrimSpace(word))] = i
	}
	for name, others := range map[string][]string{"round": {"rd"}, "white": {"a", "player_a", "player1"}, "black": {"b", "player_b", "player2"}, "result": {"score"}, "wins": {"w"}, "draws": {"d"}, "losses": {"l"}} {
		for _, other := range others {
			if i, known := at[other]; known {
				at[name] = i
			}
		}
	}
	if _, known := at["white"]; known {
		return at, true
	}
	return map[string]int{"round": 0, "white": 1, "black": 2, "result": 3}, false
}

// readRound decodes one row. It returns the reason if the row is invalid.
func readRound(line int, record []string, at map[string]int) (roundRow, string) {
	cell := func(name string) string {
		i, known := at[name]
		if !known {
			i = -1
		}
		return field(record, i)
	}
	row := roundRow{line: line}
	number := func(name string) (int, bool) {
		n, err := strconv.ParseUint(cell(name), 10, 31)
		return int(n), err == nil
	}
	var ok bool
	if row.round, ok = number("round"); !ok {
		return row, fmt.Sprintf("want the number of the round, found %q", cell("round"))
	}
	if row.meeting.White, ok = number("white"); !ok || row.meeting.White == 0 {
		return row, fmt.Sprintf("want the number of a player, found %q", cell("white"))
	}
	black := cell("black")
	if !slices.Contains([]string{"", "0", "-", "bye"}, strings.ToLower(black)) {
		if row.meeting.Black, ok = number("black"); !ok {
			return row, fmt.Sprintf("want the number of a player, or nothing for a bye, found %q", black)
		}
	}
	result := cell("result")
	if row.meeting.Black == 0 {
		points, known := resultOf(result, "", "")
		if result == "" || strings.EqualFold(result, "bye") {
			points, known = 2, true
		}
		row.meeting.Points, row.meeting.Unplayed = [2]int{points, 0}, true
		if !known {
			return row, fmt.Sprintf("want 1, 0.5 or 0 for a bye, found %q", result)
		}
		return row, ""
	}
	if _, counts := at["wins"]; counts {
		var n [3]int
		for i, name := range []string{"wins", "draws", "losses"} {
			if n[i], ok = number(name); !ok && !(name == "draws" && cell(name) == "") || n[i] > 100_000 {
				return row, fmt.Sprintf("%s: want a whole number of at most 100000, found %q", name, cell(name))
			}
		}
		row.meeting.Points = [2]int{2*n[0] + n[1], 2*n[2] + n[1]}
		if n == [3]int{} {
			return row, "want at least one game, found none"
		}
		return row, ""
	}
	switch result {
	case "+-", "+:-", "1-0F", "+/-":
		row.meeting.Points, row.meeting.Unplayed = [2]int{2, 0}, true
		return row, ""
	case "-+", "-:+", "0-1F", "-/+":
		row.meeting.Points, row.meeting.Unplayed = [2]int{0, 2}, true
		return row, ""
	}
	points, known := resultOf(result, "", "")
	if !known {
		return row, fmt.Sprintf("want 1-0, 0-1 or 1/2-1/2, or +- or -+ for games not played, found %q", result)
	}
	row.meeting.Points = [2]int{points, 2 - points}
	return row, ""
}
