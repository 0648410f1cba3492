package recorded

import (
	"bytes"
	"encoding/json"
	"iter"

	"github.com/ringrift/rift/cmd/internal/mapping"
	"github.com/ringrift/rift/domain"
)

// sorted sorts records by time; records of equal times keep their order.
func (m *mapped) sorted(records iter.Seq2[mappedRecord, error]) iter.Seq2[mappedRecord, error] {
	return func(yield func(mappedRecord, error) bool) {
		sorter := m.sorter()
		defer sorter.close()
		rank := int64(0)
		for one, err := range records {
			var packed []byte
			if err == nil {
				packed, err = packRecord(one)
			}
			if err == nil {
				err = sorter.add(one.at, rank, packed)
			}
			if err != nil {
				yield(one, err)
				return
			}
			rank++
		}
		for kept, err := range sorter.all() {
			var one mappedRecord
			if err == nil {
				one, err = m.unpackRecord(kept)
			}
			if !yield(one, err) || err != nil {
				return
			}
		}
	}
}

// placeOf returns the place of a record, "file:number".
func (m *mapped) placeOf(file int, number int64) string {
	return recording(m.files[file].Path) + ":" + decimal(number)
}

// packRecord encodes what rules need of a record as a value of a sorter.
func packRecord(one mappedRecord) ([]byte, error) {
	var p packing
	record := &one.piece.Record
	p.putNumber(int64(one.file))
	p.putNumber(record.Number)
	p.putText(one.cause)
	p.putText(record.Text)
	p.putNumber(int64(len(record.Columns)))
	for column, text := range record.Columns {
		p.putText(column)
		p.putText(text)
	}
	object := []byte(nil)
	if record.Object != nil {
		encoded, err := json.Marshal(record.Object)
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "%s: %w", one.place, err)
		}
		object = encoded
	}
	p.putText(string(object))
	return p.bytes, nil
}

func (m *mapped) unpackRecord(kept sortedValue) (mappedRecord, error) {
	p := packing{bytes: kept.value}
	one := mappedRecord{file: int(p.number()), at: kept.key.time(), rank: kept.key.rank}
	record := mapping.Record{Number: p.number()}
	one.cause = p.text()
	record.Text = p.text()
	if columns := p.number(); columns > 0 {
		record.Columns = map[string]string{}
		for ; columns > 0 && !p.bad; columns-- {
			column := p.text()
			record.Columns[column] = p.text()
		}
	}
	object := p.text()
	if err := p.err(); err != nil {
		return one, err
	}
	if object != "" {
		decoder := json.NewDecoder(bytes.NewReader([]byte(object)))
		decoder.UseNumber()
		if err := decoder.Decode(&record.Object); err != nil {
			return one, domain.Errorf(domain.Corrupt, "record %d: %w", record.Number, err)
		}
	}
	one.piece.Record, one.place = record, m.placeOf(one.file, record.Number)
	return one, nil
}

// packEvent encodes an event of a mapping as a value of a sorter.
func packEvent(e domain.Envelope, row string) []byte {
	var p packing
	p.putText(string(e.Stream))
	p.putText(string(e.ID[:]))
	p.putText(e.Type)
	p.putNumber(int64(e.Version))
	p.putText(e.Meta.Correlation)
	p.putText(row)
	p.putText(string(e.Data))
	return p.bytes
}

func (m *mapped) unpackEvent(kept sortedValue) (e domain.Envelope, row string, err error) {
	p := packing{bytes: kept.value}
	e.Stream = domain.StreamID(p.text())
	copy(e.ID[:], p.text())
	e.Type, e.Version = p.text(), int(p.number())
	e.Meta = domain.Meta{Actor: m.options.Mapping.Name, Node: m.options.Node, Correlation: p.text()}
	row = p.text()
	e.Data, e.Time = []byte(p.text()), domain.Instant(kept.key.time())
	if err := p.err(); err != nil {
		return e, row, err
	}
	return e, row, m.catalog.Fill(&e)
}
