package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/outfile"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/cmd/internal/wiring"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// formatNames are the formats that every command reads: all but a mapping, which only
// import reads.
func formatNames() []string {
	var names []string
	for _, format := range recorded.Formats() {
		if format.Name != recorded.MappingFormat {
			names = append(names, format.Name)
		}
	}
	return names
}

// importHelp describes import and its formats.
func importHelp() string {
	long := `Appends what recordings say to the log of a data folder, and accounts for every
line: events, repetitions, what was folded or skipped and why, what was not
understood. An event is identified by what was recorded, not by file or line:
the same files again, longer ones, or files that overlap append what is new. Two
equal lines at one time in one file are two events; found in a further file, they
are the same two. An id in the file is kept; used for two events, it is an error.

Files imported together stand in the order of time, whatever their names; of
equal times, the file that began first comes first. Exports of one log follow one
another by position. What is older than the end of the log is appended behind
it, and counted as late. Text logs tell changes of state by what came before:
import all files together, or the oldest first; else the report says what to do.

The format is found by what is in a file. A file of no format, or in which fewer
lines than the format wants say something, is an error. Formats:
`
	for _, f := range recorded.Formats() {
		long += "\n  " + f.Name + strings.Repeat(" ", 10-len(f.Name)) + f.About
	}
	long += mappingHelp()
	return long
}

func newLogImport(a *app) *cobra.Command {
	var format, data string
	var options recorded.Options
	var by mapFlags
	c := &cobra.Command{
		Use:   "import FILE…",
		Short: "Append recorded events to a log",
		Long:  importHelp(),
		Example: `  rift log import --data data recorded.jsonl.zst
  rift log import --data data recorded/*.log
  rift log import --format openb --data data openb/ -o json
  rift log import --map slurm --data data slurmctld.log
  rift log import --map machines.yaml --explain 17 machines.csv`,
		RunE: func(c *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return usagef("%s: want files or folders of recordings, found none", c.CommandPath())
			}
			p, err := a.printer()
			if err != nil {
				return err
			}
			catalog, err := wiring.Catalog()
			if err != nil {
				return err
			}
			if err := by.load(&format, &options, catalog); err != nil {
				return err
			}
			options.Growing = slices.ContainsFunc(paths, func(path string) bool { return path != "-" && !isAddress(path) && !isPipe(path) })
			paths, done, err := a.inputs(c, paths)
			if err != nil {
				return err
			}
			defer func() { _ = done() }() // removes temporary files only
			if err := readableFiles(paths); err != nil {
				return err
			}
			if by.explain > 0 {
				return by.explainLine(c.Context(), p, catalog, paths, options)
			}
			if err := options.Check(); err != nil {
				return err
			}
			if _, err := recorded.Detect(paths, format, options.Lenient); err != nil {
				return notRecorded(err) // before the data folder is created
			}
			log, closeLog, err := openLog(data, false)
			if err != nil {
				if domain.CodeOf(err) == domain.Unavailable {
					return hinted(err, "is a node serving it? stop that node first: rift admin shutdown")
				}
				return err
			}
			progress := a.progress("importing", "B", 0)
			options.Progress = func(at recorded.Progress) {
				progress.Total(at.TotalBytes)
				progress.Set(at.Bytes)
			}
			report, err := recorded.Import(c.Context(), log, catalog, format, paths, options)
			_, took := progress.Done()
			if err = errors.Join(err, closeLog()); err != nil {
				if report.Appended > 0 {
					a.note("rift: %s stored before the error; importing again goes on behind them", output.Plural(report.Appended, "event"))
				}
				if c.Context().Err() != nil {
					return hinted(err, "the same import again goes on where this one ended")
				}
				return err
			}
			return printImported(p, report, data, took)
		},
	}
	flags, formats := c.Flags(), append(formatNames(), recorded.MappingFormat)
	flags.StringVar(&format, "format", "", "kind of recording: "+strings.Join(formats, ", ")+" (default: by what is in each file)")
	flags.StringVar(&data, "data", "data", "data folder to import into")
	flags.BoolVar(&options.Lenient, "lenient", false, "leave broken lines out, and count them")
	flags.StringVar(&options.Node, "node", "", "who wrote the recording, where it does not say")
	flags.StringVar(&options.Cluster, "cluster", "", "the cluster the facts belong to")
	register(c, "format", formats...)
	by.add(c)
	return c
}

// printImported prints the report of an import and what to do next.
func printImported(p *output.Printer, report recorded.Report, data string, took time.Duration) error {
	if p.Format != output.Table && p.Format != output.Wide {
		return p.Print(output.Listing{Doc: report})
	}
	width := p.Width
	if p.Format == output.Wide {
		width = 0
	}
	if err := report.WriteText(p.Out, width); err != nil {
		return domain.Errorf(domain.Unavailable, "print: %w", err)
	}
	return p.Line("imported into " + data + " in " + output.Span(took) + "; next:\n  rift log stat --data " + data + "\n  rift replay " + data)
}

// readableFiles refuses a missing path before the data folder is created.
func readableFiles(paths []string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return domain.Errorf(domain.NotFound, "recording: %w", err)
		}
	}
	return nil
}

func newLogExport(a *app) *cobra.Command {
	var from sourceFlags
	var which selectionFlags
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "Write events as lines to a file",
		Long: `Writes one event a line, in the shape of GET /events; a name that ends in .zst or
.gz is packed, and - is standard output. Imported again, they are the same events.`,
		Example: `  rift log export --data data events.jsonl.zst
  rift log export --data data --stream task- tasks.jsonl
  rift log export --addr http://gpu-7:8770 - | head`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withSource(c, &from, nil, func(p *output.Printer, src *source) error {
				s, err := which.resolve(c.Context(), a.now(), src.head)
				if err != nil {
					return err
				}
				defer s.keep.warn(a)
				head, err := src.head(c.Context())
				if err != nil {
					return err
				}
				progress := a.progress("exporting", "events", int64(head))
				written, err := exportTo(args[0], a.stdout, func(w io.Writer) (int64, error) {
					out := jsonl.NewWriter(w)
					for e, err := range src.events(c.Context(), s) {
						if err == nil {
							err = out.Write(e)
						}
						if err != nil {
							return out.Count(), err
						}
						if out.Count()%1024 == 0 {
							progress.Set(int64(e.Position))
						}
					}
					return out.Count(), out.Flush()
				})
				_, took := progress.Done()
				if err != nil || args[0] == "-" {
					return err
				}
				info, err := os.Stat(args[0])
				if err != nil {
					return domain.Errorf(domain.Unavailable, "export: %w", err)
				}
				return p.Fields(map[string]any{"file": args[0], "events": written, "bytes": info.Size(), "seconds": took.Seconds()},
					output.Field{Name: "file", Value: args[0]}, output.Field{Name: "events", Value: written},
					output.Field{Name: "size", Value: output.Bytes(info.Size())}, output.Field{Name: "took", Value: took})
			})
		},
	}
	from.add(c)
	which.add(c)
	return c
}

// exportTo calls write with stdout, or with a file that appears only when it is
// complete.
func exportTo(path string, stdout io.Writer, write func(io.Writer) (int64, error)) (int64, error) {
	if path == "-" {
		return write(stdout)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return 0, domain.Errorf(domain.NotFound, "export: want a folder %s, found none", filepath.Dir(path))
	}
	file, err := outfile.Create(path)
	if err != nil {
		return 0, err
	}
	packed, err := jsonl.Pack(path, file)
	if err != nil {
		return 0, errors.Join(err, file.Discard())
	}
	written, err := write(packed)
	if err = errors.Join(err, packed.Close()); err != nil {
		return written, errors.Join(err, file.Discard())
	}
	return written, file.Close()
}
