package output

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// patience is how long a task runs before its progress is shown: what is over
// sooner needs no bar.
const patience = time.Second

// Progress shows how far a task is, with rate and time left, on a stream for
// people. A nil Progress shows nothing, and so does one whose stream is no
// terminal. It belongs to one goroutine.
type Progress struct {
	out     io.Writer
	show    bool
	title   string
	unit    string
	total   int64
	done    int64
	started time.Time
	shown   time.Time // when the bar was last drawn
	bar     *progressbar.ProgressBar
	now     func() time.Time
}

// NewProgress starts a task of total units; a total below 1 is not known.
func NewProgress(out io.Writer, quiet bool, title, unit string, total int64) *Progress {
	return newProgress(out, !quiet && IsTerminal(out), title, unit, total, time.Now)
}

func newProgress(out io.Writer, show bool, title, unit string, total int64, now func() time.Time) *Progress {
	return &Progress{out: out, show: show, title: title, unit: unit, total: total, started: now(), now: now}
}

// Add says that n more units are done.
func (p *Progress) Add(n int64) {
	if p != nil {
		p.Set(p.done + n)
	}
}

// Total changes what is known of the whole.
func (p *Progress) Total(total int64) {
	if p == nil {
		return
	}
	p.total = total
	if p.bar != nil && total > 0 {
		p.bar.ChangeMax64(total)
	}
}

// Set says how many units are done.
func (p *Progress) Set(done int64) {
	if p == nil {
		return
	}
	p.done = done
	if !p.show {
		return
	}
	now := p.now()
	if now.Sub(p.started) < patience || now.Sub(p.shown) < redraw {
		return
	}
	p.shown = now
	if p.bar == nil {
		p.bar = p.newBar()
	}
	p.bar.Describe(p.status(now.Sub(p.started)))
	// A bar that cannot be drawn is no reason to stop the task.
	_ = p.bar.Set64(done)
}

// redraw is how long a bar stands before it is drawn anew.
const redraw = 100 * time.Millisecond

// status says how far it is, how fast, and how long it will take. The library's
// own numbers count from the moment the bar appears, not from the start.
func (p *Progress) status(took time.Duration) string {
	rate := float64(p.done) / took.Seconds()
	amount := func(n int64) string {
		if p.unit == "B" {
			return Bytes(n).String()
		}
		return Count(n)
	}
	text := p.title + " " + amount(p.done)
	if p.total > 0 {
		text += " of " + amount(p.total)
	}
	if p.unit != "B" {
		text += " " + p.unit
	}
	text += ", " + amount(int64(rate)) + "/s"
	if p.total > p.done && rate > 0 {
		left := time.Duration(float64(p.total-p.done) / rate * float64(time.Second))
		text += ", " + Span(left.Round(time.Second)) + " left"
	}
	return text
}

func (p *Progress) newBar() *progressbar.ProgressBar {
	total := p.total
	if total <= 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.out),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetWidth(24),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0),
	)
}

// Done takes the bar away and says how much was done in how long.
func (p *Progress) Done() (done int64, took time.Duration) {
	if p == nil {
		return 0, 0
	}
	if p.bar != nil {
		_ = p.bar.Clear()
		_ = p.bar.Exit()
		p.bar = nil
	}
	p.show = false
	return p.done, p.now().Sub(p.started)
}
