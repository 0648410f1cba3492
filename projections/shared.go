package projections

import "iter"

// Shared is a row that several readers of one state look at. It is decoded once:
// who decodes it shares what came out, and nobody changes it.
type Shared interface {
	Row() Row
	Typed() any // what somebody decoded it to; nil: nobody did
	Share(typed any)
}

// SharingView is a View whose rows others look at beside this reader.
type SharingView interface {
	View
	GetShared(table, key string) (row Shared, found bool, err error)
	ScanShared(table string, span Span) iter.Seq2[Shared, error]
}

func getShared[R any](v SharingView, t Table[R], key string) (R, bool, error) {
	shared, found, err := v.GetShared(t.Name, key)
	if err != nil || !found {
		var none R
		return none, false, err
	}
	row, err := decodeShared(v, t, shared)
	return row, err == nil, err
}

func decodeShared[R any](v View, t Table[R], shared Shared) (R, error) {
	if typed, ok := shared.Typed().(R); ok {
		return typed, nil
	}
	stored := shared.Row()
	row, err := t.decode(v, stored.Key, stored.Value)
	if err == nil {
		shared.Share(row)
	}
	return row, err
}

func scanShared[R any](v SharingView, t Table[R], span Span) iter.Seq2[Entry[R], error] {
	return func(yield func(Entry[R], error) bool) {
		for shared, err := range v.ScanShared(t.Name, span) {
			var entry Entry[R]
			if err == nil {
				entry.Key = shared.Row().Key
				entry.Row, err = decodeShared(v, t, shared)
			}
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}
