package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ringrift/rift/cmd/internal/config"
)

// traced is an error that tells with %+v where it was made, as those of pebble do.
type traced struct{}

func (traced) Error() string { return "no space left" }

func (e traced) Format(to fmt.State, _ rune) {
	fmt.Fprint(to, e.Error())
	if to.Flag('+') {
		fmt.Fprint(to, "\nstack trace")
	}
}

// A log line tells what an error says, in either format, and not where it was made.
func TestALogLineHasNoStackTrace(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var said bytes.Buffer
		logger, flush, err := (&app{stderr: &said}).logger(config.Serve{LogLevel: "info", LogFormat: format})
		if err != nil {
			t.Fatal(err)
		}
		logger.Error("the disk failed", "error", traced{})
		flush()
		if line := said.String(); !strings.Contains(line, "no space left") || strings.Count(line, "\n") != 1 || strings.Contains(line, "stack") {
			t.Errorf("%s: want one short line, found %s", format, line)
		}
	}
}
