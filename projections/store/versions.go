package store

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
)

// parkedTable holds the dead letters of a version that is being built. No table of a
// projection can have this name.
const parkedTable = "\x01dead_letters"

// adopted is the state of a projection when the store is opened.
type adopted struct {
	live   *projector // folded with the store; nil if there is none
	build  *projector // to be built; nil if there is none
	serves served
}

// adopt finds the generations of a projection: which one serves queries, and which one is
// to be built.
//
//   - A generation of the declared version whose position is that of the store serves.
//     In an empty store a new one does. A rebuild that was begun is continued.
//   - A generation of the declared version that is behind, because an earlier build of
//     rift did not have the projection, is brought up to the store, or replaced by a
//     rebuild that was begun.
//   - Otherwise the declared version is built from the first event.
//
// Another version that served goes on serving, frozen, until the switch; one that was not
// complete is deleted.
func (s *Store) adopt(batch *pebble.Batch, p projections.Projection) (found adopted, err error) {
	records, err := s.projectorRecords(p.Name)
	if err != nil {
		return found, err
	}
	var live, half *projector
	for _, e := range slices.SortedFunc(maps.Keys(records), func(a, b generation) int { return cmp.Compare(a.number(), b.number()) }) {
		record := records[e]
		switch {
		case e.version == p.Version && record.serving:
			record.inStep = record.inStep || record.position == s.at.position
			live = newProjector(p, e.rebuilds, record)
		case e.version == p.Version && half == nil && !s.options.throwAway:
			half = newProjector(p, e.rebuilds, record)
		case record.serving:
			if record.inStep {
				record.inStep, record.position = false, s.at.position
			}
			found.serves = served{generation: e, frozen: true, asOf: record.position}
			records[e] = record
		default:
			if err := dropGeneration(batch, p.Name, e); err != nil {
				return found, err
			}
			delete(records, e)
		}
	}
	if live == nil && half == nil {
		// In an empty store every projection begins with the store.
		empty := s.at.position == 0
		record := projectorRecord{serving: empty, inStep: empty, begun: s.at.position}
		if half = newProjector(p, 0, record); empty {
			live, half = half, nil
		}
	}
	switch {
	case live == nil:
		found.build = half
	case live.record.inStep:
		found.live, found.build = live, half
		found.serves = served{generation: live.generation}
	default:
		found.serves = served{generation: live.generation, frozen: true, asOf: live.record.position}
		if found.build = half; half == nil {
			found.build = live
		}
	}
	for _, u := range []*projector{live, half} {
		if u != nil {
			records[u.generation] = u.record
		}
	}
	return found, s.settleRecords(batch, found, records)
}

// settleRecords writes the records of the generations of a projection. Besides the one
// that is folded with the store, only the one that is to replace it is kept.
func (s *Store) settleRecords(batch *pebble.Batch, found adopted, records map[generation]projectorRecord) error {
	name := found.projector().projection.Name
	for e, record := range records {
		stays := found.live == nil || found.live.generation == e || found.build != nil && found.build.generation == e
		var err error
		if stays {
			err = batch.Set(projectorKey(spaceProjector, name, e), record.encode(), nil)
		} else {
			err = dropGeneration(batch, name, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a adopted) projector() *projector {
	if a.live != nil {
		return a.live
	}
	return a.build
}

// projectorRecords lists the stored generations of a projection.
func (s *Store) projectorRecords(name string) (map[generation]projectorRecord, error) {
	records := map[generation]projectorRecord{}
	for found, err := range s.everyProjector(append(append([]byte{spaceProjector}, name...), 0)) {
		if err != nil {
			return nil, err
		}
		records[found.generation] = found.record
	}
	return records, nil
}

type storedProjector struct {
	name       string
	generation generation
	record     projectorRecord
}

func (s *Store) everyProjector(prefix []byte) iter.Seq2[storedProjector, error] {
	return func(yield func(storedProjector, error) bool) {
		for row, err := range scanKeys(s.db, prefix) {
			var found storedProjector
			if err == nil {
				name := row.key[1 : len(row.key)-5]
				found.name = string(name)
				found.generation = generationOf(binary.BigEndian.Uint32(row.key[len(row.key)-4:]))
				found.record, err = decodeProjectorRecord(row.value)
			}
			if !yield(found, err) || err != nil {
				return
			}
		}
	}
}

// retire freezes the projections that this build of rift does not have. Their rows are
// kept, and a build that has them goes on from there.
func (s *Store) retire(batch *pebble.Batch) error {
	declared := map[string]bool{}
	for _, p := range s.projections {
		declared[p.Name] = true
	}
	for found, err := range s.everyProjector([]byte{spaceProjector}) {
		if err != nil {
			return err
		}
		if declared[found.name] || !found.record.inStep {
			continue
		}
		found.record.inStep, found.record.position = false, s.at.position
		if err := batch.Set(projectorKey(spaceProjector, found.name, found.generation), found.record.encode(), nil); err != nil {
			return err
		}
	}
	return nil
}

// dropGeneration deletes everything of a generation of a projection.
func dropGeneration(batch *pebble.Batch, name string, e generation) error {
	for _, space := range []byte{spaceRows, spaceCounter} {
		prefix := projectorKey(space, name, e)
		if err := batch.DeleteRange(prefix, keyAfter(prefix), nil); err != nil {
			return err
		}
	}
	return batch.Delete(projectorKey(spaceProjector, name, e), nil)
}

// reactorRecord is the position after which a reactor reacts. Away marks a reactor that an
// earlier build of rift did not have; a build that has it starts it as a new one.
type reactorRecord struct {
	After domain.Position `json:"after"`
	Away  bool            `json:"away,omitempty"`
}

func (s *Store) adoptReactors(batch *pebble.Batch, reactors []projections.Reactor) error {
	declared := map[string]bool{}
	var faults []domain.Fault
	for _, r := range reactors {
		declared[r.Name] = true
		value, err := s.get(reactorKey(r.Name))
		if err != nil {
			return err
		}
		record := reactorRecord{Away: true}
		if value != nil {
			record = reactorRecord{}
			if err := json.Unmarshal(value, &record); err != nil {
				return domain.Errorf(domain.Corrupt, "record of reactor %s: %w", r.Name, err)
			}
		}
		if record.Away {
			after := s.at.position
			if s.options.ReactFrom != nil {
				after = s.options.ReactFrom(r.Name, s.at.position)
			}
			if after < s.at.position {
				faults = append(faults, domain.Fault{Field: "reactor " + r.Name, Reason: "want a start at " + s.at.position.String() + " or later, found " + after.String()})
			}
			record = reactorRecord{After: max(after, record.After)}
			if err := setJSON(batch, reactorKey(r.Name), record); err != nil {
				return err
			}
		}
		s.main.reactors = append(s.main.reactors, &handler{
			name: r.Name, eventType: r.Type, kind: KindReactor, reactor: r, after: record.After,
			key: append([]byte{spaceCounter, 0}, r.Name...),
		})
	}
	if err := domain.Faulty("read models", faults); err != nil {
		return err
	}
	for row, err := range scanKeys(s.db, []byte{spaceReactor}) {
		if err != nil {
			return err
		}
		if declared[string(row.key[1:])] {
			continue
		}
		if err := setJSON(batch, row.key, reactorRecord{After: s.at.position, Away: true}); err != nil {
			return err
		}
	}
	return nil
}

func setJSON(batch *pebble.Batch, key []byte, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return batch.Set(key, value, nil)
}

// storeGeneration is the generation of the tables of the store itself.
var storeGeneration = generation{version: 1}

// layout returns the layout for projectors that are folded with the store and for the
// generations that are frozen until a build is done.
func (s *Store) layout(projectors []*projector, frozen map[string]served) *layout {
	l := &layout{serving: map[string]served{}, tables: map[string]place{DeadLetterTable: {prefix: tablePrefix("", storeGeneration, DeadLetterTable)}}}
	for _, p := range s.projections {
		serves := frozen[p.Name]
		for _, u := range projectors {
			if u.projection.Name == p.Name {
				serves = served{generation: u.generation}
			}
		}
		l.serving[p.Name] = serves
		for _, table := range p.Tables {
			l.names = append(l.names, table)
			if serves.version == 0 {
				l.tables[table] = place{projection: p.Name}
				continue
			}
			l.tables[table] = place{projection: p.Name, prefix: tablePrefix(p.Name, serves.generation, table)}
		}
	}
	return l
}

// everyHandler yields the handlers, reactors and decoder of a fold, in this order.
func (f *fold) everyHandler() iter.Seq[*handler] {
	return func(yield func(*handler) bool) {
		for _, u := range f.projectors {
			for _, h := range u.handlers {
				if !yield(h) {
					return
				}
			}
		}
		for _, h := range f.reactors {
			if !yield(h) {
				return
			}
		}
		if f.decoding != nil {
			yield(f.decoding)
		}
	}
}

type keyValue struct{ key, value []byte }

// scanKeys yields the keys with a prefix. Keys and values are copies.
func scanKeys(reader pebble.Reader, prefix []byte) iter.Seq2[keyValue, error] {
	return scanRange(reader, prefix, keyAfter(prefix), math.MaxInt)
}

// scanRange yields at most limit keys from lower on, below upper.
func scanRange(reader pebble.Reader, lower, upper []byte, limit int) iter.Seq2[keyValue, error] {
	return func(yield func(keyValue, error) bool) {
		fail := func(err error) { yield(keyValue{}, broke(err)) }
		it, err := reader.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			fail(err)
			return
		}
		for ok := it.First(); ok && limit > 0; ok = it.Next() {
			limit--
			value, err := it.ValueAndErr()
			if err != nil {
				_ = it.Close() // the first error is returned
				fail(err)
				return
			}
			row := keyValue{append([]byte(nil), it.Key()...), append([]byte(nil), value...)}
			if !yield(row, nil) {
				_ = it.Close() // the caller needs nothing more
				return
			}
		}
		if err := it.Close(); err != nil {
			fail(err)
		}
	}
}
