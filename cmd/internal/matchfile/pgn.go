package matchfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
)

// The tags that are read. White has the first seat; games of three and four players
// have Player1 to Player4 and Ranks instead of White, Black and Result. Other tags
// and moves are ignored.
const (
	tagDate   = "Date"     // 2026.01.31; UTCDate is equivalent
	tagTime   = "UTCTime"  // 10:00:00
	tagMoment = "PlayedAt" // RFC 3339, instead of both
)

// ReadPGN reads the tags of games.
func ReadPGN(in io.Reader, config domain.ConfigKey) (File, error) {
	r := newReader(config)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	tags, first := map[string]string{}, 0
	moves, depth := false, 0 // inside the moves, and depth of comments in them
	finish := func() {
		if len(tags) > 0 {
			r.tagged(first, tags)
		}
		tags, moves = map[string]string{}, false
	}
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if depth > 0 || !strings.HasPrefix(line, "[") {
			if line != "" && !strings.HasPrefix(line, "%") {
				if len(tags) == 0 && !moves {
					r.fault(n, "want tags such as [White \"name\"] before moves, found %q", domain.Clip(line, 40))
				}
				moves = true
				depth = comments(line, depth)
			}
			continue
		}
		if moves {
			finish()
		}
		name, value, err := tagOf(line)
		if err != nil {
			r.fault(n, "%v", err)
			continue
		}
		if _, twice := tags[name]; twice {
			if name != "Event" {
				r.fault(n, "tag %s stands twice in a game", domain.Clip(name, 64))
				continue
			}
			finish() // a game without moves
		}
		if len(tags) == maxTags {
			r.fault(first, "want at most %d tags in a game, found more", maxTags)
			tags, moves = map[string]string{}, true
			continue
		}
		if len(tags) == 0 {
			first = n
		}
		tags[name] = value
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		r.fault(n+1, "want lines of at most %d bytes", maxLine)
	} else if err != nil {
		return File{}, domain.Errorf(domain.Unavailable, "matches: %w", err)
	}
	finish()
	return r.finish()
}

// comments tracks braces, so that a bracket in a comment is not read as a tag.
func comments(line string, depth int) int {
	for _, c := range line {
		switch {
		case depth == 0 && c == ';':
			return depth
		case depth == 0 && c == '{':
			depth = 1
		case depth == 1 && c == '}':
			depth = 0
		}
	}
	return depth
}

// tagOf parses [Name "value"].
func tagOf(line string) (name, value string, err error) {
	fail := fmt.Errorf("want a tag such as [White \"name\"], found %q", domain.Clip(line, 60))
	inner, ok := strings.CutSuffix(strings.TrimPrefix(line, "["), "]")
	name, quoted, spaced := strings.Cut(strings.TrimSpace(inner), " ")
	quoted = strings.TrimSpace(quoted)
	if !ok || !spaced || len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
		return "", "", fail
	}
	var b strings.Builder
	escaped := false
	for _, c := range quoted[1 : len(quoted)-1] {
		switch {
		case escaped:
			b.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return "", "", fail
		default:
			b.WriteRune(c)
		}
	}
	if escaped || name == "" {
		return "", "", fail
	}
	return name, b.String(), nil
}

// tagged adds the fact of a game.
func (r *reader) tagged(line int, tags map[string]string) {
	match := elo.MatchRecorded{GameID: tags["GameId"], Worker: domain.NodeID(tags["Worker"])}
	var err error
	finished := true
	if tags["Player1"] != "" {
		for _, seat := range []string{"Player1", "Player2", "Player3", "Player4"} {
			if tags[seat] != "" {
				match.Participants = append(match.Participants, elo.MatchPlayer{ModelID: tags[seat], Harness: tags[seat+"Harness"]})
			}
		}
		if tags["Result"] == "*" {
			finished = false
		} else if match.Ranks, err = numbers(tags["Ranks"]); err != nil {
			r.fault(line, "%v", err)
			return
		}
	} else {
		for _, seat := range []string{"White", "Black"} {
			if tags[seat] == "" {
				r.fault(line, "want a tag %s in the game that begins here", seat)
				return
			}
			match.Participants = append(match.Participants, elo.MatchPlayer{ModelID: tags[seat], Harness: tags[seat+"Harness"]})
		}
		if match.Ranks, finished, err = ranksOf(tags["Result"]); err != nil {
			r.fault(line, "Result: %v", err)
			return
		}
	}
	if !finished {
		r.out.Unfinished++
		return
	}
	if match.PlayedAt, err = moment(momentOf(tags)); err != nil {
		r.fault(line, "%v", err)
		return
	}
	if match.Seed, err = seed(tags["Seed"]); err != nil {
		r.fault(line, "Seed: %v", err)
		return
	}
	r.game(line, match, tags["MatchId"])
}

// momentOf returns the time of a game in RFC 3339; empty for a date with unknown
// parts.
func momentOf(tags map[string]string) string {
	if exact := tags[tagMoment]; exact != "" {
		return exact
	}
	date := tags["UTCDate"]
	if date == "" {
		date = tags[tagDate]
	}
	if date == "" || strings.Contains(date, "?") {
		return ""
	}
	date = strings.ReplaceAll(date, ".", "-")
	if clock := tags[tagTime]; clock != "" && !strings.Contains(clock, "?") {
		return date + "T" + clock + "Z"
	}
	return date
}

// WritePGN writes games as tags, and returns how many facts are results, which PGN
// cannot represent.
func WritePGN(out io.Writer, facts []elo.Fact) (left int, err error) {
	w := bufio.NewWriter(out)
	tag := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "[%s \"%s\"]\n", name, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
		}
	}
	for _, fact := range facts {
		match := fact.Match
		if match == nil {
			left++
			continue
		}
		tag("Event", string(match.ConfigKey))
		if match.PlayedAt != nil {
			tag(tagDate, match.PlayedAt.UTC().Format("2006.01.02"))
		}
		names, result := []string{"White", "Black"}, "*"
		if len(match.Participants) != 2 {
			names = []string{"Player1", "Player2", "Player3", "Player4"}
			tag("Ranks", joined(match.Ranks, " "))
		} else {
			for _, text := range []string{"1-0", "0-1", "1/2-1/2"} {
				if ranks, _, _ := ranksOf(text); slices.Equal(ranks, match.Ranks) {
					result = text
				}
			}
			tag("Result", result)
		}
		for i, p := range match.Participants {
			tag(names[i], p.ModelID)
			tag(names[i]+"Harness", p.Harness)
		}
		tag("GameId", match.GameID)
		if match.Seed != nil {
			tag("Seed", fmt.Sprint(*match.Seed))
		}
		tag(tagMoment, at(match.PlayedAt))
		tag("Worker", string(match.Worker))
		tag("MatchId", match.MatchID)
		fmt.Fprintf(w, "\n%s\n\n", result)
	}
	return left, written(w.Flush())
}
