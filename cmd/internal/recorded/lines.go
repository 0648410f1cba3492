package recorded

import (
	"cmp"
	"iter"
	"slices"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// feedsJSONL passes events on unchanged, with their ids. Files whose events have positions
// are parts of one log and one feed in the order of positions, because a log is not in the
// order of its times. If two of them begin at the same position with different events,
// they are different logs, and each file is a feed of its own.
func feedsJSONL(r *reading, files []int) []iter.Seq2[domain.Envelope, error] {
	var placed, others []int
	for _, i := range files {
		if r.files[i].first.Position > 0 {
			placed = append(placed, i)
		} else {
			others = append(others, i)
		}
	}
	slices.SortStableFunc(placed, func(a, b int) int { return cmp.Compare(r.files[a].first.Position, r.files[b].first.Position) })
	for n := 1; n < len(placed); n++ {
		if a, b := r.files[placed[n-1]].first, r.files[placed[n]].first; a.Position == b.Position && a.ID != b.ID {
			others, placed = append(others, placed...), nil
		}
	}
	var feeds []iter.Seq2[domain.Envelope, error]
	if len(placed) > 0 {
		feeds = append(feeds, r.feed(func(own *reading) error { return own.readJSONL(placed) }))
	}
	for _, i := range others {
		feeds = append(feeds, r.feed(func(own *reading) error { return own.readJSONL([]int{i}) }))
	}
	return feeds
}

// readJSONL reads files one after the other.
func (r *reading) readJSONL(files []int) error {
	for _, i := range files {
		file, err := r.unpacked(i)
		if err != nil {
			return err
		}
		account := &r.report.Files[i].Account
		var line int64
		var stopped error
		options := jsonl.ReadOptions{
			Lenient: r.options.Lenient,
			OnSkip: func(_ string, _ int64, fault error) {
				account.Skipped++
				r.report.broken[r.format.Name]++
				r.skip("", "broken", fault.Error())
			},
			OnLine: func(_ string, number int64) {
				line = number
				if err := r.line(i); err != nil {
					stopped = err
				}
			},
			OnComment: func(string, int64) { account.Blank++ },
		}
		for e, err := range jsonl.Read(file, r.files[i].Path, options) {
			if err == nil {
				err = stopped
			}
			if err == nil {
				account.Events++
				r.known(e, recording(r.files[i].Path)+":"+decimal(line))
				err = r.pass(e, "")
			}
			if err != nil {
				return err
			}
		}
		r.close()
	}
	return nil
}
