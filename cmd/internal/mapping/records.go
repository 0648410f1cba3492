package mapping

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// MaxRecord bounds a line, a row or an object in bytes.
const MaxRecord = 1 << 20

// Piece is a record as it was cut out of a file.
type Piece struct {
	Record  Record
	Said    string // what it says, whatever spaces or order of keys it says it in
	Blank   bool   // there is nothing in it
	TooLong bool   // it was cut at MaxRecord
	Open    bool   // it is a line that nothing ends: its end may be missing
	Broken  error  // why it is no record; what follows may be
}

// Records cuts a file into records. An error ends it: what follows is lost.
func (m *Mapping) Records(r io.Reader, name string) iter.Seq2[Piece, error] {
	switch m.Lines {
	case CSV:
		return m.rows(r, name)
	case JSON:
		return m.objects(r, name)
	default:
		return lines(r, name)
	}
}

func lines(r io.Reader, name string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for line, err := range jsonl.Lines(r, name, MaxRecord) {
			text := string(line.Text)
			piece := Piece{Record: Record{Number: line.Number, Text: text}, Said: text, Blank: strings.TrimSpace(text) == "", TooLong: line.TooLong, Open: line.Open}
			if !yield(piece, err) || err != nil {
				return
			}
		}
	}
}

func (m *Mapping) rows(r io.Reader, name string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		source := jsonl.NewRecords(r, MaxRecord)
		rows := csv.NewReader(source)
		rows.Comma, rows.LazyQuotes, rows.FieldsPerRecord, rows.ReuseRecord = m.Separator, true, -1, true
		header, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(Piece{}, domain.Errorf(domain.Invalid, "%s:1: want a header: %w", name, err))
			return
		}
		header = slices.Clone(header)
		for i := range header {
			header[i] = strings.TrimSpace(header[i])
		}
		if !yield(Piece{Record: Record{Number: 1, Text: strings.Join(header, string(m.Separator))}, Blank: true}, nil) {
			return
		}
		for number := 1; ; {
			source.Next()
			row, err := rows.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Piece{}, domain.Errorf(domain.Invalid, "%s, behind the record of line %d: %w", name, number, err))
				return
			}
			number, _ = rows.FieldPos(0)
			piece := Piece{Record: Record{Number: int64(number), Text: strings.Join(row, string(m.Separator)), Columns: map[string]string{}}}
			piece.Said = strings.Join(row, "\x1f")
			piece.Blank = strings.TrimSpace(piece.Record.Text) == "" || isHeader(row, header) // tables that were put together repeat it
			for i, text := range row {
				if i < len(header) {
					piece.Record.Columns[header[i]] = strings.ToValidUTF8(strings.TrimSpace(text), "�")
				}
			}
			if len(row) > len(header) && strings.TrimSpace(strings.Join(row[len(header):], "")) != "" {
				piece.Broken = domain.Errorf(domain.Invalid, "want %d columns as in the header, found %d", len(header), len(row))
			}
			if !yield(piece, nil) {
				return
			}
		}
	}
}

func isHeader(row, header []string) bool {
	return slices.EqualFunc(row, header, func(a, b string) bool { return strings.TrimSpace(a) == b })
}

// objects yields objects of one line each where the first line is one, and else
// those of a list or of a text in which they follow one another.
func (m *Mapping) objects(r io.Reader, name string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		buffered := bufio.NewReaderSize(r, MaxRecord+2)
		beginning, _ := buffered.Peek(MaxRecord + 1) // its error comes again when it is read
		first, _, _ := bytes.Cut(bytes.TrimLeft(beginning, " \t\r\n"), []byte("\n"))
		if first = bytes.TrimSpace(first); len(first) == 0 || first[0] != '{' || !json.Valid(first) {
			m.streamed(buffered, name, yield)
			return
		}
		for line, err := range jsonl.Lines(buffered, name, MaxRecord) {
			if err != nil {
				yield(Piece{}, err)
				return
			}
			if !m.objectsOf(line, yield) {
				return
			}
		}
	}
}

func (m *Mapping) objectsOf(line jsonl.Line, yield func(Piece, error) bool) bool {
	piece := Piece{Record: Record{Number: line.Number}, TooLong: line.TooLong, Open: line.Open}
	if len(bytes.TrimSpace(line.Text)) == 0 {
		piece.Blank = true
		return yield(piece, nil)
	}
	decoder := json.NewDecoder(bytes.NewReader(line.Text))
	decoder.UseNumber()
	var object map[string]any
	err := decoder.Decode(&object)
	if err == nil && decoder.More() {
		err = domain.Errorf(domain.Invalid, "want one object, found more behind it")
	}
	if err != nil || object == nil {
		piece.Broken = domain.Errorf(domain.Invalid, "want an object of JSON: %w", errors.Join(err))
		piece.Record.Text = string(line.Text)
		return yield(piece, nil)
	}
	list, has := object[m.list].([]any)
	if m.list == "" || !has {
		piece.Blank = len(object) == 0 // Nomad sends {} to keep a connection open
		return yield(objectPiece(object, line.Number), nil)
	}
	for _, element := range list {
		if !yield(objectPiece(element, line.Number), nil) {
			return false
		}
	}
	return len(list) > 0 || yield(Piece{Record: Record{Number: line.Number}, Blank: true}, nil)
}

func objectPiece(value any, number int64) Piece {
	piece := Piece{Record: Record{Number: number}}
	said, err := json.Marshal(value)
	object, is := value.(map[string]any)
	if !is || err != nil {
		piece.Broken = domain.Errorf(domain.Invalid, "want an object of JSON, found %s", domain.Clip(string(said), 80))
	}
	piece.Said, piece.Record.Text, piece.Record.Object = string(said), string(said), object
	piece.Blank = is && len(object) == 0
	return piece
}

// streamed reads a list of objects, an object whose key holds the list, or
// objects one after the other, in the memory of one of them.
func (m *Mapping) streamed(r io.Reader, name string, yield func(Piece, error) bool) {
	source := jsonl.NewRecords(r, MaxRecord)
	decoder := json.NewDecoder(source)
	decoder.UseNumber()
	var number int64
	one := func() bool {
		number++
		source.Next()
		var value any
		if err := decoder.Decode(&value); err != nil {
			yield(Piece{}, domain.Errorf(domain.Invalid, "%s, record %d: %w", name, number, err))
			return false
		}
		return yield(objectPiece(value, number), nil)
	}
	for {
		source.Next()
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			switch token {
			case json.Delim('['):
				for decoder.More() {
					if !one() {
						return
					}
				}
				_, err = decoder.Token()
			case json.Delim('{'):
				var object map[string]any
				var listed, more bool
				if object, listed, more, err = m.document(decoder, one); !more {
					return
				}
				if err == nil && !listed {
					number++
					if !yield(objectPiece(object, number), nil) {
						return
					}
				}
			default:
				err = domain.Errorf(domain.Invalid, "want objects of JSON or a list of them, found %v", token)
			}
		}
		if err != nil {
			yield(Piece{}, domain.Errorf(domain.Invalid, "%s, behind record %d: %w", name, number, err))
			return
		}
	}
}

// document reads an object behind its brace: the elements of its list of records
// go to one, which says whether to go on.
func (m *Mapping) document(decoder *json.Decoder, one func() bool) (object map[string]any, listed, more bool, err error) {
	object = map[string]any{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return object, listed, true, err
		}
		name, _ := key.(string)
		if m.list == "" || name != m.list {
			var value any
			if err := decoder.Decode(&value); err != nil {
				return object, listed, true, err
			}
			object[name] = value
			continue
		}
		if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
			return object, listed, true, errors.Join(domain.Errorf(domain.Invalid, "%s: want a list, found %v", name, token), err)
		}
		listed = true
		for decoder.More() {
			if !one() {
				return object, listed, false, nil
			}
		}
		if _, err := decoder.Token(); err != nil {
			return object, listed, true, err
		}
	}
	_, err = decoder.Token()
	return object, listed, true, err
}
