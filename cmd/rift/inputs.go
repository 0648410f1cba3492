package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringrift/rift/cmd/internal/config"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/jsonl"
)

// stdinPath stands for the standard input in a list of recordings.
const stdinPath = "-"

// isAddress reports whether a path is the address of a node.
func isAddress(path string) bool {
	return strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://")
}

// inputs turns the names of recordings into files and folders. The standard input ("-")
// and the log of a node (an http address) are stored in a temporary folder, which done
// removes. Every command that reads recordings opens them with inputs.
func (a *app) inputs(c *cobra.Command, paths []string) (local []string, done func() error, err error) {
	done = func() error { return nil }
	var scratch string
	for _, path := range paths {
		if path != stdinPath && !isAddress(path) {
			local = append(local, path)
			continue
		}
		if scratch == "" {
			if scratch, err = os.MkdirTemp("", "rift-input-"); err != nil {
				return nil, done, domain.Errorf(domain.Unavailable, "folder to keep %s in: %w", path, err)
			}
			done = func() error { return os.RemoveAll(scratch) }
		}
		var kept string
		if path == stdinPath {
			kept, err = keepStdin(scratch, a.stdin)
		} else {
			kept, err = a.keepLog(c, scratch, path)
		}
		if err != nil {
			return nil, func() error { return nil }, errors.Join(err, done())
		}
		local = append(local, kept)
	}
	return local, done, nil
}

// keepStdin copies the standard input to a file. It may be compressed.
func keepStdin(folder string, stdin io.Reader) (string, error) {
	path := filepath.Join(folder, "stdin")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", domain.Errorf(domain.Invalid, "standard input: want it named once: %w", err)
	}
	_, err = io.Copy(file, stdin)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", domain.Errorf(domain.Unavailable, "standard input: %w", err)
	}
	return path, nil
}

// keepLog copies the log of a node to a file, up to its present end.
func (a *app) keepLog(c *cobra.Command, folder, address string) (string, error) {
	settings, err := config.LoadClient(c.Flags(), a.getenv)
	if err != nil {
		return "", err
	}
	settings.Addr = address
	asked, err := a.newClient(settings)
	if err != nil {
		return "", err
	}
	return keepEvents(c.Context(), folder, asked.source())
}

func keepEvents(ctx context.Context, folder string, src *source) (string, error) {
	head, err := src.head(ctx)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp(folder, "node-*.jsonl")
	if err != nil {
		return "", domain.Errorf(domain.Unavailable, "log of %s: %w", src.name, err)
	}
	out := jsonl.NewWriter(file)
	for e, err := range src.events(ctx, selection{to: head}) {
		if err == nil {
			err = out.Write(e)
		}
		if err != nil {
			return "", errors.Join(err, file.Close())
		}
	}
	if err := errors.Join(out.Flush(), file.Close()); err != nil {
		return "", domain.Errorf(domain.Unavailable, "log of %s: %w", src.name, err)
	}
	return file.Name(), nil
}

// lookAround suggests a command that shows the events around a position of the input,
// if that command can read the input.
func lookAround(paths []string, format string) string {
	named := strings.Join(paths, " ")
	if format != "" {
		return "Look around a position: rift log import --format " + format + " --data DIR " + named + ", then rift log show --data DIR --from POSITION --limit 20"
	}
	if slices.Contains(paths, stdinPath) {
		return "Look around a position: keep the input in a file, then rift log show FILE --from POSITION --limit 20"
	}
	switch {
	case len(paths) == 0:
		return "Look around a position: rift log show --from POSITION --limit 20"
	case len(paths) == 1 && isAddress(paths[0]):
		return "Look around a position: rift log show --addr " + paths[0] + " --from POSITION --limit 20"
	}
	return "Look around a position: rift log show " + named + " --from POSITION --limit 20"
}
