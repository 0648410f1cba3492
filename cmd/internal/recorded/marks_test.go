package recorded

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ringrift/rift/eventlog"
)

// A byte order mark is no part of a text, in any format; text of another encoding
// is refused by its name.
func TestByteOrderMarks(t *testing.T) {
	for format, files := range map[string][]string{"ringrift": {"run_b.log"}, "openb": {"nodes.csv", "pods.csv"}, "faults": {"faults.json"}} {
		t.Run(format, func(t *testing.T) {
			plain, marked, wide := t.TempDir(), t.TempDir(), t.TempDir()
			for _, name := range files {
				text, err := os.ReadFile(filepath.Join("testdata", name))
				if err != nil {
					t.Fatal(err)
				}
				utf16le := []byte{0xff, 0xfe}
				for _, unit := range utf16.Encode([]rune(string(text))) {
					utf16le = append(utf16le, byte(unit), byte(unit>>8))
				}
				for dir, content := range map[string][]byte{plain: text, marked: append([]byte("\xef\xbb\xbf"), text...), wide: utf16le} {
					if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			events := map[string]string{}
			for _, dir := range []string{plain, marked} {
				log := eventlog.NewMemory()
				if _, err := Import(t.Context(), log, catalog(t), "", []string{dir}, Options{}); err != nil {
					t.Fatal(err)
				}
				events[dir] = said(t, log)
			}
			if events[plain] != events[marked] || events[plain] == "" {
				t.Errorf("want the same events with a mark, found\n%s\nand\n%s", events[plain], events[marked])
			}
			_, err := Import(t.Context(), eventlog.NewMemory(), catalog(t), "", []string{filepath.Join(wide, files[0])}, Options{})
			if err == nil || !strings.Contains(err.Error(), "want UTF-8, found the byte order mark of UTF-16") {
				t.Errorf("want UTF-16 refused by its name, found %v", err)
			}
		})
	}
}

// Bytes that are not UTF-8 are refused, or become text that is valid JSON.
func TestStrayBytesBecomeValidJSON(t *testing.T) {
	for name, text := range map[string]string{
		"a.log":       "2026-02-01 08:00:00,000 - bad\xff - CRITICAL - odd \xfe words\n2026-02-01 08:00:01,000 - m - WARNING - Node box-3 unhealthy (2 consecutive failures): layer=p2p, error=\xff\n",
		"nodes.csv":   "sn,cpu_milli,memory_mib,gpu,model\nn-1,1000,1,8,G\xff2\nn-2,1000,1,8,G2\n",
		"faults.json": "[{\"node_id\":\"n\",\"event_time\":1,\"event_type\":\"fault_start\",\"fault_type\":{\"Desc\":\"odd \xff\"}}]",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			log := eventlog.NewMemory()
			if _, err := Import(t.Context(), log, catalog(t), "", []string{path}, Options{}); err != nil {
				return // refused
			}
			for e, err := range log.ReadAll(t.Context(), 1, eventlog.Forward, eventlog.Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				meta := strings.Join([]string{e.Meta.Actor, e.Meta.Node, e.Meta.Correlation}, " ")
				if !utf8.Valid(e.Data) || !json.Valid(e.Data) || !utf8.ValidString(meta) {
					t.Errorf("want UTF-8, found %q with %q", e.Data, meta)
				}
			}
		})
	}
}
