package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/pebblelog"
)

// No log is made in a folder whose read models show that it had one.
func TestNoLogIsMadeBesideReadModels(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, log string){
		"without a folder":     func(*testing.T, string) {},
		"with an empty folder": func(t *testing.T, log string) { must(t, os.MkdirAll(log, 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			folder, models := filepath.Join(data, LogFolder), filepath.Join(data, ModelsFolder)
			must(t, os.MkdirAll(models, 0o755))
			must(t, os.WriteFile(filepath.Join(models, "rows"), nil, 0o644))
			leave(t, folder)
			log, err := OpenLogWith(data, pebblelog.Options{Small: true})
			if domain.CodeOf(err) != domain.Corrupt || !strings.Contains(err.Error(), folder) || !strings.Contains(err.Error(), models) {
				t.Fatalf("want an error that names both folders, found %v, %v", log, err)
			}
			if made, err := os.ReadDir(folder); err == nil && len(made) > 0 {
				t.Errorf("want nothing made, found %v", made)
			}
			must(t, os.RemoveAll(models)) // as the error advises
			log, err = OpenLogWith(data, pebblelog.Options{Small: true})
			must(t, err)
			must(t, log.Close())
			must(t, os.MkdirAll(models, 0o755))
			log, err = OpenLogWith(data, pebblelog.Options{Small: true}) // with the log
			must(t, err)
			must(t, log.Close())
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
