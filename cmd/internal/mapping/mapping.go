package mapping

import (
	"regexp"
	"time"
)

// The bounds of a mapping.
const (
	MaxDocument   = 1 << 20   // bytes of YAML
	maxRules      = 500       // with those that it includes
	maxKeys       = 100       // values, conditions, layouts of one rule
	maxPattern    = 4096      // bytes of a regular expression
	maxTemplate   = 4096      // bytes of a template
	maxList       = 10_000    // elements that one line's list may expand to
	maxRemembered = 1_000_000 // things that are open at a time
	maxText       = 64 << 10  // bytes that a template may grow to

	defaultRemembered = 100_000
)

// Kind says how a file is cut into records.
type Kind string

// The kinds.
const (
	Text Kind = "text" // a record is a line
	CSV  Kind = "csv"  // a record is a row under a header
	JSON Kind = "json" // a record is an object: one a line, or the elements of a list
)

// Mapping is a list of rules, and how to read what they are for.
type Mapping struct {
	Name      string
	About     string
	Lines     Kind
	Separator rune // of CSV
	SortTimes bool // events are put in the order of their times; else they keep the file's

	list       string         // of JSON: the key whose list holds the records, in the object that a line or a file is
	head       *regexp.Regexp // of each line, before the rules; its group text is what they match
	text       *template      // what rules match, of records with columns
	time       *moment
	remembered int
	rules      []*rule
}

// Timed tells whether the mapping has a time of its own, beside those of rules.
func (m *Mapping) Timed() bool { return m.time != nil }

// rule says what a line means.
type rule struct {
	name     string
	match    *regexp.Regexp
	recall   []*template
	when     []condition
	each     *each
	event    string
	stream   *template // nil: the stream that the event belongs to
	time     *moment   // nil: the mapping's
	values   []value
	remember *remember
	forget   *template
	skip     string
	fold     bool // what is skipped is no news
	more     bool // later rules may take the line as well
}

// condition is about one group or column.
type condition struct {
	field   string
	negated bool
	any     []string       // equal to one of these
	match   *regexp.Regexp // or matched by this; its groups are known from then on
	said    string         // as it was written
}

// each repeats a rule for every element of a list, with its conditions and what it
// remembers.
type each struct {
	name  string
	from  *template
	split splitting
}

type remember struct {
	key    *template
	values []value
}

// moment is where a time stands, and how it is written.
type moment struct {
	from    *template
	layouts []string
	zone    *time.Location
}

// value is a key of a payload.
type value struct {
	key     string
	kind    valueKind
	literal any       // where from is nil
	from    *template // what it is made of
	split   splitting
	first   bool
	add     string
	absent  any // where there is nothing
	words   map[string]string
	object  []value
}

type valueKind string

const (
	kindString valueKind = "string"
	kindInt    valueKind = "int"
	kindFloat  valueKind = "float"
	kindBool   valueKind = "bool"
	kindList   valueKind = "list"
	kindTime   valueKind = "time"
	kindObject valueKind = "object"
)

var valueKinds = []string{"string", "int", "float", "bool", "list", "time", "object"}

// splitting says how text becomes a list: at a separator, or as a list of hosts.
type splitting string

const hostList splitting = "hostlist"
