package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/output"
)

// build is the document of `rift version`.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// thisBuild reads the build information in the binary.
func thisBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print which build this is",
		Example: "  rift version\n  rift version -o json",
		Args:    exactly(),
		RunE: func(*cobra.Command, []string) error {
			p, err := a.printer()
			if err != nil {
				return err
			}
			b := thisBuild()
			modified := any(nil)
			if b.Modified {
				modified = "with local changes"
			}
			return p.Fields(b,
				output.Field{Name: "version", Value: b.Version},
				output.Field{Name: "revision", Value: b.Revision},
				output.Field{Name: "time", Value: b.Time},
				output.Field{Name: "modified", Value: modified},
				output.Field{Name: "go", Value: b.Go},
				output.Field{Name: "platform", Value: b.Platform},
			)
		},
	}
}
