package domain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rooms are the packages whose every result must come from their arguments: the
// root of each pure room, and its areas.
func rooms(t *testing.T) []room {
	var pure []room
	for _, root := range []room{
		{path: module + "/domain", floats: true, reflections: []string{"keys.go", "ranges.go"}},
		{path: module + "/projections"},
		{path: module + "/commands", floats: true, context: true},
	} {
		pure = append(pure, root)
		dir := filepath.Join("..", strings.TrimPrefix(root.path, module))
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			sources, err := filepath.Glob(filepath.Join(dir, entry.Name(), "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			area := room{path: root.path + "/" + entry.Name(), floats: root.floats}
			if entry.IsDir() && len(sources) > 0 && area.path != module+"/projections/store" {
				pure = append(pure, area)
			}
		}
	}
	return pure
}

func TestPureRoomsArePure(t *testing.T) {
	began := time.Now()
	load := newLoader("..")
	for _, r := range rooms(t) {
		files, pkg, info, err := load.load(r.path)
		if err != nil {
			t.Errorf("%s: %v", r.path, err)
			continue
		}
		findings, suppressed := inspect(r, load.fset, files, pkg, info)
		for _, f := range findings {
			t.Errorf("%s", f)
		}
		for _, f := range suppressed {
			t.Logf("suppressed: %s", f)
		}
	}
	t.Logf("took %v", time.Since(began).Round(time.Millisecond))
}

// The guard itself: each source is one file of a package with the strictest rules;
// a line that must be found has the expected text in a comment of its own.
func TestPurityCatches(t *testing.T) {
	load := newLoader("..")
	strict := room{path: module + "/planted", reflections: []string{"keys.go"}}
	for name, source := range planted {
		t.Run(name, func(t *testing.T) {
			file, err := parser.ParseFile(load.fset, name+".go", "package planted\n"+source, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			pkg, info, err := load.check(strict.path, []*ast.File{file})
			if err != nil {
				t.Fatal(err)
			}
			findings, suppressed := inspect(strict, load.fset, []*ast.File{file}, pkg, info)
			var want, found []string
			for line, text := range strings.Split("package planted\n"+source, "\n") {
				_, words, marked := strings.Cut(text, "/* want ")
				if !marked {
					continue
				}
				words, _, _ = strings.Cut(words, " */")
				for what := range strings.SplitSeq(words, "; ") {
					want = append(want, finding{token.Position{Filename: name + ".go", Line: line + 1}, what}.String())
				}
			}
			for _, f := range findings {
				found = append(found, f.String())
			}
			slices.Sort(want)
			slices.Sort(found)
			if !slices.Equal(want, found) {
				t.Errorf("want\n%s\nfound\n%s", strings.Join(want, "\n"), strings.Join(found, "\n"))
			}
			if wantsOne := strings.Contains(source, "//purity:ok because"); wantsOne != (len(suppressed) == 1) {
				t.Errorf("want suppressions %v, found %v", wantsOne, suppressed)
			}
		})
	}
}

var planted = map[string]string{
	"goroutine": `
func f() {
	go func() {}() /* want starts a goroutine */
}`,
	"channels": `
func f(c chan int) { /* want has a channel */
	c <- 1 /* want sends on a channel */
	<-c /* want receives from a channel */
	select {} /* want selects */
	close(c) /* want closes a channel */
	for range c { /* want ranges over a channel */
	}
}`,
	"dotimport": `
import . "maps"
func f(m map[string]int) {
	for range Keys(m) { /* want maps.Keys gives another order every time: put it inside slices.Sorted */
	}
}`,
	"maprange": `
type index map[string]int
func f(m index) (n int) {
	for _, v := range m { /* want ranges over a map */
		n += v
	}
	return n
}`,
	"genericmaprange": `
func f[M ~map[string]int](m M) (n int) {
	for _, v := range m { /* want ranges over a map */
		n += v
	}
	return n
}`,
	"mapkeys": `
import (
	"maps"
	"slices"
)
func f(m map[string]int) []string {
	for range maps.Values(m) { /* want maps.Values gives another order every time: put it inside slices.Sorted */
	}
	loose := slices.Collect(maps.Keys(m)) /* want maps.Keys gives another order every time: put it inside slices.Sorted */
	tight := slices.Collect(maps.Keys(m))
	slices.Sort(tight)
	return append(append(loose, tight...), slices.Sorted(maps.Keys(m))...)
}`,
	"clock": `
import clock "time"
func f(t clock.Time) bool {
	now := clock.Now /* want uses time.Now */
	return t.After(now()) && clock.Since(t) > 0 /* want uses time.Since */
}`,
	"zone": `
import "time"
func f(t time.Time) time.Time {
	return t.Local() /* want uses time.Local */
}`,
	"imports": `
import (
	_ "context" /* want imports context */
	_ "math" /* want imports math */
	_ "math/rand/v2" /* want imports math/rand/v2 */
	_ "net/url" /* want imports net/url */
	_ "os" /* want imports os */
	_ "reflect" /* want imports reflect outside keys.go */
	_ "sync/atomic" /* want imports sync/atomic */
	_ "unsafe" /* want imports unsafe */
	_ "strings"
)`,
	"keys": `
import _ "reflect"
`,
	"state": `
import "errors"
var count int /* want package variable count has no value: it can only be state */
var last = 0 /* want package variable last is no error and no table */
var words = []string{"a"}
var index = map[string]int{}
type box struct{ n int }
func (b *box) grow() { b.n++ }
var shared = box{}
var ErrBad = errors.New("bad")
func init() { /* want func init runs outside the log */
	count++ /* want writes package variable count */
}
func f() *box {
	words[0] = "b" /* want writes package variable words */
	delete(index, "a") /* want writes package variable index */
	shared.grow() /* want lets grow change package variable shared */
	return &shared /* want takes the address of package variable shared */
}`,
	"floats": `
type score float64
const third = 1.0 / 3
func f(a, b float64, s score, n int) float64 {
	if a < b && n+1 > 2 {
		a += b /* want calculates with floats */
	}
	_ = s * 2 /* want calculates with floats */
	return third * 2
}
func g[N ~int | ~float64](a, b N) N {
	return a + b /* want calculates with floats */
}`,
	"suppressed": `
func f(m map[string]int) (n int) {
	for _, v := range m { //purity:ok because a sum has no order
		n += v
	}
	return n
}`,
	"unexplained": `
func f(m map[string]int) (n int) {
	for range m { /* want a suppression wants a reason; ranges over a map */ //purity:ok
		n++
	}
	_ = n /* want suppresses nothing: of no use */ //purity:ok of no use
	return n
}`,
}
