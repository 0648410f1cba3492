package backup

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"strconv"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// Damage is a stretch of a backup that cannot be read, or has other events than the
// manifest says. As an error it has the code corrupt.
type Damage struct {
	File        string
	Offset      int64 // of the frame in the file
	First, Last domain.Position
	Cause       error
}

// Error names the events, the place and the cause.
func (d *Damage) Error() string {
	events := "events " + d.First.String() + " to " + d.Last.String()
	if d.First == d.Last {
		events = "event " + d.First.String()
	}
	return events + " cannot be read, in " + d.File + " from byte " + strconv.FormatInt(d.Offset, 10) + " on: " + d.Cause.Error()
}

// Unwrap returns the code.
func (d *Damage) Unwrap() error { return &domain.Error{Code: domain.Corrupt} }

// reader reads the events of a backup.
type reader struct {
	Options
	step     string
	dir      string
	manifest Manifest
	take     func(record) error
	// damaged is called with each stretch that cannot be read; an error ends the read.
	damaged func(*Damage) error
}

// errStop ends the read of a file whose rest cannot be told into frames.
var errStop = errors.New("the rest of the file cannot be read")

// run reads every part. The digest of a part begins with that of the part before as the
// manifest has it, so damage in one does not show in the next.
func (r *reader) run(ctx context.Context) error {
	before := chain{}.String()
	for i := range r.manifest.Parts {
		p := &r.manifest.Parts[i]
		digest, err := parseChain(before)
		if err != nil {
			return err
		}
		if err := r.part(ctx, p, digest); err != nil {
			return err
		}
		before = p.Digest
	}
	r.Progress(r.step, r.manifest.Events, r.manifest.Events)
	return nil
}

func (r *reader) part(ctx context.Context, p *Part, digest chain) error {
	file, err := r.FS.Open(r.FS.PathJoin(r.dir, p.File))
	if errors.Is(err, fs.ErrNotExist) {
		return r.damaged(&Damage{p.File, 0, p.First, p.Last, domain.Errorf(domain.Corrupt, "the file is missing")})
	}
	if err != nil {
		return folderError("backup "+r.dir, err)
	}
	at := partReader{reader: r, in: bufio.NewReaderSize(file, 256<<10), part: p, next: p.First, digest: digest}
	err = at.run(ctx)
	return errors.Join(err, file.Close())
}

// partReader reads one file of events.
type partReader struct {
	*reader
	in      *bufio.Reader
	part    *Part
	offset  int64
	next    domain.Position
	digest  chain
	damage  bool // some frame was damaged, so the digest is another
	scratch []byte
}

func (p *partReader) run(ctx context.Context) error {
	for p.next <= p.part.Last {
		if err := eventlog.Interrupted(ctx, "backup "+p.dir); err != nil {
			return err
		}
		p.Progress(p.step, p.next-1, p.manifest.Events)
		if err := p.frame(); errors.Is(err, errStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if _, err := p.in.ReadByte(); err == nil {
		return p.spoilt(p.part.Last, domain.Errorf(domain.Corrupt, "want the end of the file after event %d, found more", p.part.Last))
	}
	if found := p.digest.String(); !p.damage && found != p.part.Digest {
		p.next, p.offset = p.part.First, 0
		return p.spoilt(p.part.Last, domain.Errorf(domain.Corrupt, "want events with digest %s, found other events with %s", p.part.Digest, found))
	}
	return nil
}

// spoilt says that the events from the next one to another cannot be read.
func (p *partReader) spoilt(last domain.Position, cause error) error {
	p.damage = true
	return p.damaged(&Damage{p.part.File, p.offset, min(p.next, last), last, cause})
}

// rest says that the rest of the file cannot be read.
func (p *partReader) rest(cause error) error {
	if errors.Is(cause, io.EOF) || errors.Is(cause, io.ErrUnexpectedEOF) {
		cause = domain.Errorf(domain.Corrupt, "the file is cut off: %w", cause)
	}
	if err := p.spoilt(p.part.Last, cause); err != nil {
		return err
	}
	return errStop
}

// frame reads the next frame.
func (p *partReader) frame() error {
	var first [headSize]byte
	if _, err := io.ReadFull(p.in, first[:]); err != nil {
		return p.rest(err)
	}
	h, err := decodeHead(first[:])
	if err == nil && (h.first != p.next || h.last() > p.part.Last) {
		err = domain.Errorf(domain.Corrupt, "want a frame of events %d to %d at most, found events %d to %d", p.next, p.part.Last, h.first, h.last())
	}
	if err != nil {
		return p.rest(err)
	}
	packed := make([]byte, h.packed)
	if _, err := io.ReadFull(p.in, packed); err != nil {
		return p.rest(err)
	}
	records, err := h.unpack(packed)
	if err == nil {
		err = p.events(h, records)
	}
	var why *unusable
	if errors.As(err, &why) {
		return why.error // the backup is whole, whoever takes its events failed
	}
	if err != nil {
		err = p.spoilt(h.last(), err)
	}
	p.next, p.offset = h.last()+1, p.offset+headSize+int64(h.packed)
	return err
}

// unusable is an error of who takes the events.
type unusable struct{ error }

func (p *partReader) events(h head, records []byte) error {
	for one, err := range h.each(records) {
		if err != nil {
			return err
		}
		p.scratch = p.digest.add(one.bytes, p.scratch)
		if err := p.take(one); err != nil {
			return &unusable{err}
		}
	}
	return nil
}

// Checked is the result of Verify.
type Checked struct {
	Manifest
	Whole  domain.Position // events that can be read
	Bytes  int64           // of their payloads
	Damage []*Damage
	More   bool // there is more damage than the list has
}

// maxDamage bounds the list of damage.
const maxDamage = 100

// Verify reads a backup and lists what of it cannot be read, or is not what was backed up.
// The error is about the manifest, or says that the folder could not be read.
func Verify(ctx context.Context, dir string, o Options) (Checked, error) {
	o = o.withDefaults()
	m, err := Open(o.FS, dir)
	if err != nil {
		return Checked{}, err
	}
	found := Checked{Manifest: m}
	r := reader{Options: o, step: "checking", dir: dir, manifest: m, take: func(one record) error {
		found.Whole++
		found.Bytes += int64(len(one.event.Data))
		return nil
	}, damaged: func(d *Damage) error {
		if len(found.Damage) == maxDamage {
			found.More = true
			return nil
		}
		found.Damage = append(found.Damage, d)
		return nil
	}}
	return found, r.run(ctx)
}
