package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/cmd/internal/recorded"
	"github.com/ringrift/rift/domain"
)

// mapFlags are the flags of an import with a mapping.
type mapFlags struct {
	file    string
	explain int64
}

func (f *mapFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "map", "", "mapping of lines to events: a YAML file, or "+strings.Join(mapping.Shipped(), ", "))
	c.Flags().Int64Var(&f.explain, "explain", 0, "import nothing: say which rule of --map takes the line of this number, and why others do not")
}

// mappingHelp says how a mapping is written.
func mappingHelp() string {
	return `

A mapping (--map) is YAML: lines (text, csv or json), time, and rules that are tried
in their order. A rule has a match (regular expression with named groups) or when
(column: word, [words], ~expression, with ! before it: not so), the event and its
values ("task-{group}", or from, type, split, first, default, add, words, object),
and each, stream, time, remember, recall, forget, more. A rule with skip or fold and
a reason takes lines that mean no event. Mappings that come with rift: ` + strings.Join(mapping.Shipped(), ", ") + "."
}

// load reads the mapping and sets it for the import.
func (f *mapFlags) load(format *string, options *recorded.Options, catalog *domain.Catalog) (err error) {
	if f.file == "" {
		if *format == recorded.MappingFormat || f.explain != 0 {
			return usagef("want a mapping: --map FILE.yaml or --map %s", strings.Join(mapping.Shipped(), "|"))
		}
		return nil
	}
	if *format != "" && *format != recorded.MappingFormat {
		return usagef("--map %s: want it with --format %s or with none, found --format %s", f.file, recorded.MappingFormat, *format)
	}
	if f.explain < 0 {
		return usagef("--explain: want the number of a line, from 1, found %d", f.explain)
	}
	*format = recorded.MappingFormat
	if _, err := mapping.ShippedDocument(f.file); err == nil {
		options.Mapping, err = mapping.LoadShipped(f.file, catalog)
		return err
	}
	document, err := readMapping(f.file)
	if err != nil {
		return err
	}
	if options.Mapping, err = mapping.Parse(document, catalog); err != nil {
		return domain.Errorf(domain.CodeOf(err), "%s: %w", f.file, err)
	}
	return nil
}

func readMapping(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, hinted(domain.Errorf(domain.NotFound, "mapping: %w", err), "mappings that come with rift: %s", strings.Join(mapping.Shipped(), ", "))
	}
	defer func() { _ = file.Close() }()
	document, err := io.ReadAll(io.LimitReader(file, mapping.MaxDocument+1))
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "mapping %s: %w", path, err)
	}
	return document, nil
}

// explainLine prints which rule applies to a line.
func (f *mapFlags) explainLine(ctx context.Context, p *output.Printer, catalog *domain.Catalog, paths []string, options recorded.Options) error {
	if len(paths) != 1 {
		return usagef("--explain: want one file, found %d", len(paths))
	}
	said, err := recorded.ExplainLine(ctx, catalog, paths[0], options.Mapping, f.explain)
	if err != nil {
		return err
	}
	if p.Format == output.JSON || p.Format == output.JSONL {
		return p.Print(output.Listing{Doc: map[string]any{"explained": said}})
	}
	return p.Line(strings.Join(said, "\n"))
}
