package wiring

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// path is what ARCHITECTURE.md writes of the tree: a path in backquotes, or a
// package and a name that it exports.
var path = regexp.MustCompile("`((?:domain|eventlog|projections|commands|transport|cmd|testdata)/[^` ]*?)(?:\\.[A-Z][A-Za-z]*)?`")

// What ARCHITECTURE.md points at exists: a path as it stands, one that names
// <area> for at least one area.
func TestArchitecturePointsAtWhatExists(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := path.FindAllStringSubmatch(string(text), -1)
	if len(found) < 40 {
		t.Errorf("want a map of the tree, found %d paths", len(found))
	}
	for _, match := range found {
		pattern := filepath.Join(root, strings.NewReplacer("<area>", "*", "…", "*").Replace(match[1]))
		hits, err := filepath.Glob(pattern)
		if err != nil || len(hits) == 0 {
			t.Errorf("%s: want it in the tree, found nothing (%v)", match[1], err)
		}
	}
}

// Every area that a process lists is a package of transport, or has events alone;
// and every package of transport with an Area is listed.
func TestEveryAreaIsListed(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	files, err := filepath.Glob(filepath.Join(root, "transport", "*", "area.go"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, area := range areas() {
		if listed[area.Name] {
			t.Errorf("%s: want it listed once", area.Name)
		}
		listed[area.Name] = true
	}
	for _, file := range files {
		if name := filepath.Base(filepath.Dir(file)); !listed[name] {
			t.Errorf("%s: want it in the list of areas", name)
		}
	}
}
