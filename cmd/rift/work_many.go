package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
	policyview "github.com/ringrift/rift/projections/policy"
	"github.com/ringrift/rift/transport"
)

// many describes a command that takes many items: from a file of JSON objects, or as
// words TASK:LEASE. It sends them in calls of a batch endpoint. Flags apply to all
// items.
type many struct {
	route   string // "work.complete_batch"
	taken   string // key of the number of accepted items: "completed"
	refused string // key of the number of refused ones: "not_completed"
	pairs   bool   // words TASK:LEASE name items
	all     bool   // print all items for people, not only the refused ones
}

// maxCall bounds the bytes of one call; a node accepts 1 MiB.
const maxCall = 768 << 10

// pair decodes TASK:LEASE. The name of an item may contain colons.
func pair(word string) (task string, lease uint64, ok bool) {
	at := strings.LastIndexByte(word, ':')
	if at <= 0 {
		return "", 0, false
	}
	lease, err := strconv.ParseUint(word[at+1:], 10, 64)
	return word[:at], lease, err == nil
}

// named reports whether all words are TASK:LEASE.
func (m *many) named(words []string) bool {
	if m == nil || !m.pairs || len(words) == 0 {
		return false
	}
	for _, word := range words {
		if _, _, ok := pair(word); !ok {
			return false
		}
	}
	return true
}

// items returns the items named by words or by a file; nil if the command is about one
// item. A file with a single JSON object is the body of the command, unless its name
// ends in .jsonl.
func (m *many) items(body *bodyFlags, words []string, stdin io.Reader) (items iter.Seq2[json.RawMessage, error], closeFile func() error, err error) {
	closeFile = func() error { return nil }
	if m.named(words) {
		return func(yield func(json.RawMessage, error) bool) {
			for _, word := range words {
				task, lease, _ := pair(word)
				item, err := json.Marshal(map[string]any{"task_id": task, "lease": lease})
				if !yield(item, err) {
					return
				}
			}
		}, closeFile, nil
	}
	if body.file == "" {
		return nil, closeFile, nil
	}
	source, name := stdin, "standard input"
	if body.file != "-" {
		file, err := os.Open(body.file)
		if err != nil {
			return nil, closeFile, domain.Errorf(domain.NotFound, "items: %w", err)
		}
		source, name, closeFile = file, body.file, file.Close
	}
	text, err := jsonl.Unpack(source)
	if err != nil {
		return nil, closeFile, domain.Errorf(domain.Invalid, "%s: %w", name, err)
	}
	records := jsonl.NewRecords(text, maxInput)
	decoder := json.NewDecoder(records)
	first, err := nextItem(decoder, name, 1)
	if errors.Is(err, io.EOF) {
		return nil, closeFile, usagef("%s: want JSON objects, one for each item, found nothing", name)
	}
	if err != nil {
		return nil, closeFile, err
	}
	if !decoder.More() && !strings.HasSuffix(body.file, ".jsonl") {
		body.text, body.file = string(first), ""
		return nil, closeFile, nil
	}
	return func(yield func(json.RawMessage, error) bool) {
		item, err := first, error(nil)
		for n := 1; !errors.Is(err, io.EOF); n++ {
			if !yield(item, err) || err != nil {
				return
			}
			records.Next()
			item, err = nextItem(decoder, name, n+1)
		}
	}, closeFile, nil
}

func nextItem(decoder *json.Decoder, name string, n int) (json.RawMessage, error) {
	var item json.RawMessage
	err := decoder.Decode(&item)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, usagef("%s: item %d: want a JSON object: %v", name, n, err)
	case item[0] != '{':
		return nil, usagef("%s: item %d: want a JSON object, found %.60q", name, n, item)
	}
	return item, nil
}

// batched is the answer for many items: the totals of all calls, and an entry for each
// item, in order.
type batched struct {
	position domain.Position
	key      string
	taken    int
	refused  int
	items    []batchedItem
}

type batchedItem struct {
	raw json.RawMessage

	TaskID   string         `json:"task_id"`
	Code     domain.Code    `json:"code"`
	Detail   string         `json:"detail"`
	Faults   []domain.Fault `json:"faults"`
	Deadline *time.Time     `json:"deadline"`
	Cancel   bool           `json:"cancel"`
	Release  bool           `json:"release"`
	Reason   string         `json:"reason"`
}

// manyCalls sends items in calls of a batch endpoint.
type manyCalls struct {
	*many
	client  *client
	options []transport.CallOption
	most    int // items in a call
	call    []json.RawMessage
	bytes   int // in the call
	calls   int
	told    batched
}

// runMany sends items in calls of as many as the policy allows. The id of each call is
// derived from that of the command.
func (a *app) runMany(c *cobra.Command, e endpoint, client *client, items iter.Seq2[json.RawMessage, error], overlay func(json.RawMessage) ([]byte, error), key string, dry bool) (batched, error) {
	most, err := batchLimit(c, client)
	if err != nil {
		return batched{}, err
	}
	if key == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return batched{}, domain.Errorf(domain.Unavailable, "command id: %w", err)
		}
		key = id.String()
	}
	m := &manyCalls{many: e.many, client: client, most: most, told: batched{key: key}}
	if dry {
		m.options = append(m.options, transport.Dry())
	}
	progress := a.progress(e.many.taken, "items", 0)
	defer progress.Done()
	for item, err := range items {
		if err == nil {
			item, err = overlay(item)
		}
		if err == nil && (len(m.call) == most || m.bytes+len(item) > maxCall) {
			err = m.send(c)
			progress.Set(int64(len(m.told.items)))
		}
		if err != nil {
			return m.told, m.broken(err)
		}
		m.call = append(m.call, item)
		m.bytes += len(item) + 1
	}
	return m.told, m.broken(m.send(c))
}

func (m *manyCalls) send(c *cobra.Command) error {
	if len(m.call) == 0 {
		return nil
	}
	m.calls++
	body, err := json.Marshal(map[string]any{"items": m.call})
	if err != nil {
		return domain.Errorf(domain.Invalid, "items: %w", err)
	}
	answer, err := m.client.do(c.Context(), m.route, body, append(m.options[:len(m.options):len(m.options)], transport.ID(fmt.Sprintf("%s/%d", m.told.key, m.calls)))...)
	if err != nil {
		return err
	}
	m.call, m.bytes = m.call[:0], 0
	return m.told.add(answer, m.many)
}

// broken adds to an error how to resume after the calls that succeeded.
func (m *manyCalls) broken(err error) error {
	if err == nil || len(m.told.items) == 0 {
		return err
	}
	return hinted(err, "%d items were sent before; with --idempotency-key %s the same command goes on where it broke off", len(m.told.items), m.told.key)
}

// batchLimit is how many items the policy in force allows in one call.
func batchLimit(c *cobra.Command, client *client) (int, error) {
	answer, err := client.ask(c.Context(), "policies.policy", url.Values{"name": {domain.PolicyDefaultName}})
	if err != nil {
		return 0, err
	}
	found, err := decode[policyview.Answer](answer)
	if err != nil {
		return 0, err
	}
	policy, err := decode[struct {
		Work struct {
			BatchLimit int `json:"batch_limit"`
		} `json:"work"`
	}](found.Policy)
	if err == nil && policy.Work.BatchLimit < 1 {
		err = hinted(domain.Errorf(domain.Corrupt, "policy: want work.batch_limit of at least 1, found %d", policy.Work.BatchLimit), otherVersion)
	}
	return policy.Work.BatchLimit, err
}

// itemOf matches the name of an item of a call in faults and details.
var itemOf = regexp.MustCompile(`\bitems\[(\d+)\]`)

// add adds the answer to one call. It renumbers the items that faults name from those
// of the call to those of the whole command.
func (b *batched) add(answer json.RawMessage, m *many) error {
	before := len(b.items)
	answer = itemOf.ReplaceAllFunc(answer, func(found []byte) []byte {
		n, err := strconv.Atoi(string(itemOf.FindSubmatch(found)[1]))
		if err != nil {
			return found
		}
		return fmt.Appendf(nil, "items[%d]", before+n)
	})
	head, err := decode[map[string]json.RawMessage](answer)
	if err != nil {
		return err
	}
	items, err := decode[[]json.RawMessage](head["items"])
	if err != nil {
		return err
	}
	for _, raw := range items {
		item, err := decode[batchedItem](raw)
		if err != nil {
			return err
		}
		item.raw = raw
		b.items = append(b.items, item)
	}
	for name, into := range map[string]any{"position": &b.position, m.taken: nil, m.refused: nil} {
		n := 0
		if into == nil {
			into = &n
		}
		if err := json.Unmarshal(head[name], into); err != nil {
			return unreadable(err)
		}
		switch name {
		case m.taken:
			b.taken += n
		case m.refused:
			b.refused += n
		}
	}
	return nil
}

// showMany prints the outcome for many items. Refused items are findings.
func showMany(p *output.Printer, told batched, m *many, dry bool) error {
	items := make([]json.RawMessage, len(told.items))
	for i, item := range told.items {
		items[i] = item.raw
	}
	doc := map[string]any{"position": told.position, "idempotency_key": told.key, m.taken: told.taken, m.refused: told.refused, "items": items}
	l := output.Listing{Doc: doc, Items: asItems(items), Above: fmt.Sprintf("%s %s, %s refused\n", output.Count(told.taken), m.taken, output.Count(told.refused))}
	if dry {
		doc["dry_run"] = true
		l.Above = "dry run: nothing was stored; it would be " + l.Above
	}
	l.Columns = []output.Column{{Name: "item", Right: true}, {Name: "task_id"}}
	if m.all {
		l.Columns = append(l.Columns, output.Column{Name: "deadline"})
	}
	l.Columns = append(l.Columns, output.Column{Name: "code"}, output.Column{Name: "detail", Max: 100})
	for i, item := range told.items {
		if item.Code == "" && !m.all && p.Format == output.Table {
			continue
		}
		row := []any{i, item.TaskID}
		if m.all {
			row = append(row, item.Deadline)
		}
		l.Rows = append(l.Rows, append(row, string(item.Code), item.words()))
	}
	if len(l.Rows) == 0 {
		l.Above, l.Empty = "", strings.TrimSuffix(l.Above, "\n")
	}
	if err := p.Print(l); err != nil {
		return err
	}
	if told.refused > 0 {
		return &findings{told.refused, "refused item"}
	}
	return nil
}

// words describes the answer for an item.
func (i batchedItem) words() string {
	switch {
	case i.Cancel:
		return "cancelled: stop"
	case i.Release:
		return "give it back: " + i.Reason
	}
	text := i.Detail
	for _, fault := range i.Faults {
		text += "; " + fault.Field + ": " + fault.Reason
	}
	return text
}
