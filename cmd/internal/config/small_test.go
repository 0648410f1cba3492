package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ringrift/rift/domain"
)

// What has no end is not read to its end.
func TestFilesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rift.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, MaxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); domain.CodeOf(err) != domain.TooLarge {
		t.Errorf("want a file that is too large refused, found %v", err)
	}
	if err := os.Truncate(path, MaxFile); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadFile(path); err != nil || len(text) != MaxFile {
		t.Errorf("want the file, found %d bytes, %v", len(text), err)
	}
}
