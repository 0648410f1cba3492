package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/ringrift/rift/cmd/internal/output"
)

// printAnswer prints the answer to any query for people: lists of objects as tables,
// everything else as names and values.
func printAnswer(p *output.Printer, answer json.RawMessage) error {
	fields, err := topLevel(answer)
	if err != nil {
		return p.Line(strings.TrimSpace(string(answer)))
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(answer, &whole); err != nil {
		return unreadable(err)
	}
	var plain []output.Field
	for _, field := range fields {
		key := strings.ReplaceAll(field.Name, " ", "_")
		if _, is := objectsOf(whole[key]); !is {
			plain = append(plain, field)
		}
	}
	if len(plain) > 0 {
		if err := p.Fields(nil, plain...); err != nil {
			return err
		}
	}
	for _, field := range fields {
		rows, is := objectsOf(whole[strings.ReplaceAll(field.Name, " ", "_")])
		if !is {
			continue
		}
		l := output.Listing{Above: "\n" + field.Name, Empty: "none"}
		at := map[string]int{}
		for _, row := range rows {
			for _, cell := range row {
				if _, known := at[cell.Name]; !known && cell.Value != nil && cell.Value != "" {
					at[cell.Name] = len(l.Columns)
					l.Columns = append(l.Columns, output.Column{Name: strings.ReplaceAll(cell.Name, " ", "_"), Max: 40})
				}
			}
		}
		for _, row := range rows {
			cells := make([]any, len(l.Columns))
			for _, cell := range row {
				if i, shown := at[cell.Name]; shown {
					cells[i] = cell.Value
				}
			}
			l.Rows = append(l.Rows, cells)
		}
		if err := p.Print(l); err != nil {
			return err
		}
	}
	return nil
}

// objectsOf reads a list of objects, each as its keys and values in order. It returns
// nil for a list of anything else.
func objectsOf(value json.RawMessage) (rows [][]output.Field, is bool) {
	if !bytes.HasPrefix(bytes.TrimSpace(value), []byte("[")) {
		return nil, false
	}
	var items []json.RawMessage
	if json.Unmarshal(value, &items) != nil {
		return nil, false
	}
	for _, item := range items {
		row, err := topLevel(item)
		if err != nil {
			return nil, false
		}
		rows = append(rows, row)
	}
	return rows, true
}

// asItems adds to every row its JSON, for -o jsonl.
func asItems(rows []json.RawMessage) []any {
	items := make([]any, len(rows))
	for i, row := range rows {
		items[i] = row
	}
	return items
}

// decodeAll decodes the rows of an answer.
func decodeAll[T any](raws []json.RawMessage) ([]T, error) {
	rows := make([]T, len(raws))
	for i, raw := range raws {
		row, err := decode[T](raw)
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

// decode decodes an answer.
func decode[T any](answer json.RawMessage) (T, error) {
	var out T
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, unreadable(err)
	}
	return out, nil
}

// asTable prints an answer as a table.
func asTable[A any](table func(A) output.Listing) func(*output.Printer, json.RawMessage, endpoint) error {
	return func(p *output.Printer, answer json.RawMessage, e endpoint) error {
		found, err := decode[A](answer)
		if err != nil {
			return err
		}
		l := table(found)
		l.Doc, l.Empty = answer, e.empty
		return p.Print(l)
	}
}

// more says below a listing how to ask for the next page, if there is one.
func more(l output.Listing, command, next string) output.Listing {
	if next != "" {
		l.Below = "more: " + command + next
	}
	return l
}
