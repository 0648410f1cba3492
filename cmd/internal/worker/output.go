package worker

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// tail keeps the last bytes of a stream in a ring.
type tail struct {
	ring  []byte
	next  int // when the ring is full: index of the oldest byte, which is overwritten next
	total int64
}

func newTail(size int) *tail { return &tail{ring: make([]byte, 0, size)} }

func (t *tail) write(p []byte) {
	t.total += int64(len(p))
	size := cap(t.ring)
	if len(p) >= size {
		t.ring, t.next = append(t.ring[:0], p[len(p)-size:]...), 0
		return
	}
	for len(p) > 0 {
		n := min(size-len(t.ring), len(p))
		if n > 0 {
			t.ring = append(t.ring, p[:n]...)
		} else {
			n = copy(t.ring[t.next:], p)
			t.next = (t.next + n) % size
		}
		p = p[n:]
	}
}

// bytes returns what was kept, oldest first.
func (t *tail) bytes() []byte {
	return append(bytes.Clone(t.ring[t.next:]), t.ring[:t.next]...)
}

// text returns what was kept as text that is safe in JSON and on a terminal: valid
// UTF-8 without control characters. A rune cut by the ring is left out.
func (t *tail) text() string {
	kept := t.bytes()
	if t.total > int64(len(kept)) {
		for len(kept) > 0 && !utf8.RuneStart(kept[0]) {
			kept = kept[1:]
		}
	}
	return cleanText(string(kept))
}

// cleanText replaces what cannot be displayed.
func cleanText(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		if r == '\r' {
			return -1
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// The prefixes of lines with a meaning.
const (
	progressWord = "progress:"
	resultWord   = "result:"
)

// maxProgress limits one report of progress.
const maxProgress = 16 << 10

// commandOutput is a command's output: the end of each stream, its progress and its
// result. It is written by the readers of both streams and read by the driver.
type commandOutput struct {
	now       func() time.Time
	maxResult int
	maxOutput int64
	flood     chan struct{} // closed when the output exceeded the limit

	mu       sync.Mutex
	out, err *tail
	last     time.Time // of the last output
	flooded  bool

	line     []byte // the current line of stdout, as far as it may have a meaning
	overlong bool   // the line exceeds that
	progress json.RawMessage
	reports  int // progress lines
	ignored  int // invalid progress or result lines
	result   json.RawMessage
	tooLarge int // size of a result that is too large

	wholly bool   // stdout is kept as a whole, since it is the answer
	whole  []byte // at most one byte more than the largest result
}

func newCommandOutput(now func() time.Time, tailSize, maxResult int, maxOutput int64, wholly bool) *commandOutput {
	return &commandOutput{wholly: wholly, now: now, maxResult: maxResult, maxOutput: maxOutput, flood: make(chan struct{}), out: newTail(tailSize), err: newTail(tailSize), last: now()}
}

// stdout and stderr are the writers of the two streams.
type (
	stdout struct{ *commandOutput }
	stderr struct{ *commandOutput }
)

func (s stdout) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard(s.out, p)
	if s.wholly {
		s.whole = append(s.whole, p[:min(len(p), s.maxResult+1-len(s.whole))]...)
	}
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		s.extend(line)
		if ended {
			s.endLine()
		}
		rest = after
	}
	return len(p), nil
}

func (s stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard(s.err, p)
	return len(p), nil
}

func (s *commandOutput) heard(t *tail, p []byte) {
	t.write(p)
	s.last = s.now()
	if !s.flooded && s.maxOutput > 0 && s.out.total+s.err.total > s.maxOutput {
		s.flooded = true
		close(s.flood)
	}
}

// extend adds to the line as far as it may have a meaning.
func (s *commandOutput) extend(part []byte) {
	if s.overlong {
		return
	}
	bound := s.bound(part)
	if len(s.line)+len(part) > bound {
		s.overlong = true
		part = part[:max(0, bound-len(s.line))]
	}
	s.line = append(s.line, part...)
}

// bound returns the length limit of the line, which depends on its prefix.
func (s *commandOutput) bound(part []byte) int {
	begin := s.line
	if len(begin) < len(progressWord) {
		begin = append(bytes.Clone(begin), part[:min(len(part), len(progressWord)-len(begin))]...)
	}
	switch {
	case bytes.HasPrefix(begin, []byte(resultWord)):
		return len(resultWord) + s.maxResult + 2
	case bytes.HasPrefix(begin, []byte(progressWord)):
		return len(progressWord) + maxProgress + 2
	}
	return len(progressWord)
}

func (s *commandOutput) endLine() {
	if value, found := bytes.CutPrefix(s.line, []byte(progressWord)); found {
		if progress, ok := usable(value); ok && !s.overlong && len(progress) <= maxProgress {
			s.progress = progress
			s.reports++
		} else {
			s.ignored++
		}
	} else if value, found := bytes.CutPrefix(s.line, []byte(resultWord)); found {
		switch result, ok := usable(value); {
		case s.overlong:
			s.tooLarge = s.maxResult + 1
		case ok:
			s.result, s.tooLarge = result, 0
		default:
			s.ignored++
		}
	}
	s.line, s.overlong = s.line[:0], false
	if cap(s.line) > 64<<10 {
		s.line = nil // do not keep a large result twice
	}
}

// usable returns a command's value if the cluster would accept it: JSON in UTF-8,
// not nested too deeply.
func usable(text []byte) (json.RawMessage, bool) {
	var compact bytes.Buffer
	if !utf8.Valid(text) || deep(text) || json.Compact(&compact, text) != nil || compact.Len() == 0 {
		return nil, false
	}
	return compact.Bytes(), true
}

// maxNesting is well below a node's limit for bodies, which contain the value some
// levels down.
const maxNesting = 64

func deep(text []byte) bool {
	depth, inString, escaped := 0, false, false
	for _, c := range text {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// end handles a last line without a newline.
func (s *commandOutput) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) > 0 {
		s.endLine()
	}
}

// heardAt returns when the command last printed anything.
func (s *commandOutput) heardAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// lastProgress returns the last progress that the command reported.
func (s *commandOutput) lastProgress() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress
}

// dropProgress forgets a progress that the cluster refused.
func (s *commandOutput) dropProgress() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress != nil {
		s.progress = nil
		s.ignored++
	}
}
