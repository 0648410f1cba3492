package outfile_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ringrift/rift/cmd/internal/outfile"
)

// A file that is given up leaves what was there before.
func Example() {
	folder, err := os.MkdirTemp("", "outfile-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "report.md")
	if err := outfile.WriteFile(path, []byte("first\n")); err != nil {
		fmt.Println(err)
	}
	f, err := outfile.Create(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintln(f, "half of the sec")
	if err := f.Discard(); err != nil {
		fmt.Println(err)
	}
	text, err := os.ReadFile(path)
	fmt.Print(string(text), err)
	// Output:
	// first
	// <nil>
}
