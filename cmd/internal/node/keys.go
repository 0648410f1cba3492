package node

import (
	"context"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/ringrift/rift/commands"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// maxKeys and keysLast bound what is kept of the keys of callers. On the stream that its
// command wrote to, a key is known for as long as the stream exists.
const (
	maxKeys    = 1 << 18 // keys, and events at the end of the log that are read for them
	keysLast   = 24 * time.Hour
	unknownUse = domain.Position(0) // it is not known whether the command was stored
)

// keys keeps which command each key of a caller was used for, so that the key is refused
// for another command, also on another stream. It forgets the oldest keys beyond maxKeys
// and those older than a day. It is loaded from the end of the log, and while another
// node leads it reads on.
type keys struct {
	mu      sync.Mutex
	seed    maphash.Seed
	loaded  bool              // all events beyond upTo were appended by this process
	upTo    domain.Position   // the log is read up to here
	used    map[uint64]keyUse // by the hash of the key
	order   []uint64          // the oldest first
	running map[string]*runningKey
	most    int
}

// keyUse is the command that a key was used for.
type keyUse struct {
	request uint64
	first   domain.Position
	at      int64 // seconds since 1970
}

// runningKey is a key whose command is being run.
type runningKey struct {
	request uint64
	calls   int
}

func newKeys() *keys {
	return &keys{seed: maphash.MakeSeed(), used: map[uint64]keyUse{}, running: map[string]*runningKey{}, most: maxKeys}
}

// begin notes that a command is run under a key. It refuses a key that was used for
// another command. first is the position of the first event of an earlier run of the
// command, 0 if there is none. The caller calls end, unless begin returned an error.
func (k *keys) begin(ctx context.Context, log eventlog.Log, key, request string, now time.Time) (first domain.Position, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(ctx, log, now); err != nil {
		return 0, err
	}
	wanted := requestOf(request)
	use, known := k.used[maphash.String(k.seed, key)]
	switch {
	case known && now.Unix()-use.at > int64(keysLast.Seconds()):
	case known && use.request != wanted:
		return 0, k.reused(ctx, log, key, use)
	case known:
		first = use.first
	}
	running := k.running[key]
	if running == nil {
		running = &runningKey{request: wanted}
		k.running[key] = running
	}
	if running.request != wanted {
		return 0, domain.Errorf(domain.KeyReused, "key %q stands for another command or body, which is being run right now; send this under a key of its own", key)
	}
	running.calls++
	return first, nil
}

// end notes the result of a command.
func (k *keys) end(key, request string, events []domain.Envelope, err error, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if running := k.running[key]; running != nil {
		if running.calls--; running.calls == 0 {
			delete(k.running, key)
		}
	}
	switch code := domain.CodeOf(err); {
	case len(events) > 0:
		k.note(key, request, events[0].Position, events[0].Time)
	case err != nil && (code == domain.Timeout || code == domain.Unavailable || code == domain.Internal):
		k.note(key, request, unknownUse, now)
	}
}

func (k *keys) note(key, request string, first domain.Position, at time.Time) {
	hash := maphash.String(k.seed, key)
	before, known := k.used[hash]
	if known && before.first != unknownUse && (first == unknownUse || before.first <= first) && before.request == requestOf(request) {
		return
	}
	k.used[hash] = keyUse{requestOf(request), first, at.Unix()}
	if known {
		return
	}
	k.order = append(k.order, hash)
	for len(k.order) > k.most {
		delete(k.used, k.order[0])
		k.order = k.order[1:]
	}
}

// follow reads the keys that another node has appended since the last read.
func (k *keys) follow(ctx context.Context, log eventlog.Log, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = false
	return k.load(ctx, log, now)
}

// load reads the keys of the last day from the part of the log that was not read before.
func (k *keys) load(ctx context.Context, log eventlog.Log, now time.Time) error {
	if k.loaded {
		return nil
	}
	type use struct {
		key, request string
		first        domain.Position
		at           time.Time
	}
	var uses []use
	upTo, looked := k.upTo, 0
	for e, err := range log.ReadAll(ctx, eventlog.End, eventlog.Backward, eventlog.Filter{}) {
		if err != nil {
			return err
		}
		if looked++; looked > k.most || e.Position <= k.upTo || now.Sub(e.Time) > keysLast {
			break
		}
		upTo = max(upTo, e.Position)
		if e.Meta.Request != "" {
			uses = append(uses, use{e.Meta.Command, e.Meta.Request, e.Position, e.Time})
		}
	}
	for i := range uses {
		one := &uses[len(uses)-1-i]
		k.note(one.key, one.request, one.first, one.at)
	}
	k.upTo, k.loaded = upTo, true
	return nil
}

// reused returns the refusal of a key, which names its first use.
func (k *keys) reused(ctx context.Context, log eventlog.Log, key string, use keyUse) error {
	if use.first == unknownUse {
		return domain.Errorf(domain.KeyReused, "key %q stands for another command or body, of which it is not known whether it was stored; send this under a key of its own", key)
	}
	first, err := eventAt(ctx, log, use.first)
	if err != nil {
		return err
	}
	return commands.KeyReused(key, &first)
}

// eventAt reads one event.
func eventAt(ctx context.Context, log eventlog.Log, at domain.Position) (domain.Envelope, error) {
	for e, err := range log.ReadAll(ctx, at, eventlog.Forward, eventlog.Filter{To: at}) {
		return e, err
	}
	return domain.Envelope{}, domain.Errorf(domain.NotFound, "want an event at position %d, found none", at)
}

// requestOf returns a digest as a number. A text that is not a digest, in a log that was
// written by hand, is hashed.
func requestOf(digest string) uint64 {
	if number, err := strconv.ParseUint(digest, 16, 64); err == nil {
		return number
	}
	var hash uint64 = 14695981039346656037
	for i := range len(digest) {
		hash = (hash ^ uint64(digest[i])) * 1099511628211
	}
	return hash
}
