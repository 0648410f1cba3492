package main

import (
	"bytes"
	"cmp"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/matchfile"
	"github.com/ringrift/rift/cmd/internal/outfile"
	"github.com/ringrift/rift/cmd/internal/output"
	elocmd "github.com/ringrift/rift/commands/elo"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/elo"
	eloview "github.com/ringrift/rift/projections/elo"
)

// matchFormats are the formats of files of match facts.
var matchFormats = []string{"csv", "pgn"}

func matchFormat(said, path string) (string, error) {
	if said == "" {
		said = strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	}
	if !slices.Contains(matchFormats, said) {
		return "", usagef("want a name that ends in .csv or .pgn, or --format csv|pgn, found %q", domain.Clip(said, 32))
	}
	return said, nil
}

// imported is the result of importing a file.
type imported struct {
	ConfigKey  string               `json:"config_key"`
	Facts      int                  `json:"facts"`      // in the file
	Taken      int                  `json:"taken"`      // new ones
	Unfinished int                  `json:"unfinished"` // games that broke off
	Refused    []elocmd.RefusedFact `json:"contradicting"`
}

func newEloImport(a *app) *cobra.Command {
	var format, source string
	var dry bool
	c := &cobra.Command{
		Use:   "import CONFIG-KEY FILE",
		Short: "Take over games and results from a file",
		Long: `import reads games or results of one game's players from a file (- is standard input):

  csv  a header of these columns, those that are needed, in any order:
       ` + strings.Join(matchfile.Columns[:9], ",") + `,
       ` + strings.Join(matchfile.Columns[9:], ",") + `
       A row is a game (ranks 1;2 in the order of seats, or result 1-0, 0-1, 1/2-1/2)
       or results of a against b. Without a header: a,b,wins,draws,losses.
  pgn  the tags White, Black, Result, Date or UTCDate with UTCTime, and GameId, Seed,
       Worker, WhiteHarness, BlackHarness; moves are passed over. Games of more than
       two have Player1 to Player4 and Ranks.

A file with a fault is not taken at all, and every fault is named with its line. A fact
that is known counts once, so a file may be imported again; one that contradicts what is
known is refused and listed (exit code 2).`,
		Example: "  rift elo import hex8_2p games.pgn\n  rift elo import hex8_2p results.csv --dry-run",
		Args:    exactly("CONFIG-KEY", "FILE"),
		RunE: func(c *cobra.Command, words []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			config, err := domain.ParseConfigKey(words[0])
			if err != nil {
				return err
			}
			file, err := a.readMatches(format, words[1], config)
			if err != nil {
				return err
			}
			done := imported{ConfigKey: words[0], Facts: len(file.Facts), Unfinished: file.Unfinished, Refused: []elocmd.RefusedFact{}}
			if !dry {
				client, err := a.client(c)
				if err != nil {
					return err
				}
				// Facts are sent in the order of their matches: none is
				// late, so none causes others to be rated again.
				slices.SortFunc(file.Facts, func(a, b elo.Fact) int {
					return cmp.Compare(elo.PlayedOf(a).OrderKey(), elo.PlayedOf(b).OrderKey())
				})
				for part := range slices.Chunk(file.Facts, sendFacts) {
					answer, err := exchange(c.Context(), client, elocmd.SyncElo{ConfigKey: config, Facts: part, Source: domain.NodeID(source)})
					if err != nil {
						return err
					}
					done.Taken += answer.Taken
					done.Refused = append(done.Refused, answer.Contradicting...)
				}
			}
			if err := p.Fields(done,
				output.Field{Name: "facts", Value: done.Facts},
				output.Field{Name: "taken", Value: done.Taken},
				output.Field{Name: "broke off", Value: done.Unfinished},
				output.Field{Name: "contradicting", Value: len(done.Refused)},
			); err != nil {
				return err
			}
			if len(done.Refused) > 0 {
				return &findings{len(done.Refused), "contradicting fact"}
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "", "csv or pgn (default: by the name of the file)")
	c.Flags().StringVar(&source, "source", "", "where the facts come from, for the record")
	c.Flags().BoolVar(&dry, "dry-run", false, "read the file and name its faults only")
	register(c, "format", matchFormats...)
	return c
}

// readMatches reads a file of match facts; "-" is the standard input.
func (a *app) readMatches(format, path string, config domain.ConfigKey) (matchfile.File, error) {
	format, err := matchFormat(format, path)
	if err != nil {
		return matchfile.File{}, err
	}
	in, err := a.openFile("matches", path)
	if err != nil {
		return matchfile.File{}, err
	}
	defer func() { _ = in.Close() }()
	if format == "pgn" {
		return matchfile.ReadPGN(in, config)
	}
	return matchfile.ReadCSV(in, config)
}

func newEloExport(a *app) *cobra.Command {
	var format, out string
	c := &cobra.Command{
		Use:   "export CONFIG-KEY",
		Short: "Write the games and results of a game to a file",
		Long: `export writes the facts that count, in the order they were recorded, so that
rift elo import reads them back as the same facts. Results of many games have no form
in pgn and are left out there, and told.`,
		Example: "  rift elo export hex8_2p --format csv > hex8_2p.csv\n  rift elo export hex8_2p --out hex8_2p.pgn",
		Args:    exactly("CONFIG-KEY"),
		RunE: func(c *cobra.Command, words []string) error {
			if format == "" && out == "" {
				format = "csv"
			}
			format, err := matchFormat(format, out)
			if err != nil {
				return err
			}
			client, err := a.client(c)
			if err != nil {
				return err
			}
			facts, excluded, err := factsOf(c, client, words[0])
			if err != nil {
				return err
			}
			to, left := io.Writer(a.stdout), 0
			var buffer bytes.Buffer
			if out != "" {
				to = &buffer
			}
			if format == "pgn" {
				left, err = matchfile.WritePGN(to, facts)
			} else {
				err = matchfile.WriteCSV(to, facts)
			}
			if err != nil {
				return err
			}
			if out != "" {
				if err := outfile.WriteFile(out, buffer.Bytes()); err != nil {
					return domain.Errorf(domain.CodeOf(err), "export: %w", err)
				}
				a.note("rift: wrote %s", out)
			}
			if excluded > 0 {
				a.note("rift: left out %s excluded from the ratings", output.Plural(excluded, "fact"))
			}
			if left > 0 {
				a.note("rift: left out %s, which pgn has no form for", output.Plural(left, "result"))
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "", "csv or pgn (default: by the name of --out, else csv)")
	c.Flags().StringVar(&out, "out", "", "write to this file")
	register(c, "format", matchFormats...)
	return c
}

// factsOf reads all match facts of a game that count.
func factsOf(c *cobra.Command, from *client, config string) (facts []elo.Fact, excluded int, err error) {
	values := url.Values{"config_key": {config}, "limit": {"1000"}}
	for {
		answer, err := from.ask(c.Context(), "elo.matches", values)
		if err != nil {
			return nil, 0, err
		}
		page, err := decode[eloview.MatchesAnswer](answer)
		if err != nil {
			return nil, 0, err
		}
		for _, row := range page.Matches {
			var fact elo.Fact
			if row.Type == (elo.MatchRecorded{}).EventType() {
				match, err := decode[elo.MatchRecorded](row.Fact)
				if err != nil {
					return nil, 0, err
				}
				fact.Match = &match
			} else {
				results, err := decode[elo.ResultsRecorded](row.Fact)
				if err != nil {
					return nil, 0, err
				}
				fact.Results = &results
			}
			if row.Excluded != "" {
				excluded++
			} else {
				facts = append(facts, fact)
			}
		}
		if page.Next == 0 {
			return facts, excluded, nil
		}
		values.Set("from", strconv.FormatUint(page.Next, 10))
	}
}
