package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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

// inputs turns the names of recordings into files and folders. The standard input
// ("-"), pipes and the logs of nodes (http://…) and of EventStoreDBs (esdb://…) are stored
// in a temporary folder, which done removes. Every command that reads recordings opens
// them with inputs.
func (a *app) inputs(c *cobra.Command, paths []string) (local []string, done func() error, err error) {
	done = func() error { return nil }
	var scratch string
	for i, path := range paths {
		if slices.Contains(paths[:i], path) && (path == stdinPath || isPipe(path)) {
			return nil, done, usagef("%s: want it named once, for it can be read once", path)
		}
	}
	for i, path := range paths {
		src, err := a.remote(c, path)
		if err != nil {
			return nil, func() error { return nil }, errors.Join(err, done())
		}
		if path != stdinPath && src == nil && !isPipe(path) {
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
		switch {
		case path == stdinPath:
			kept, err = a.keepText(c.Context(), filepath.Join(scratch, "stdin"), "standard input", func() (io.ReadCloser, error) { return io.NopCloser(a.stdin), nil })
		case src != nil:
			kept, err = keepEvents(c.Context(), scratch, src)
			err = errors.Join(err, src.close())
		default:
			kept, err = a.keepText(c.Context(), filepath.Join(scratch, strconv.Itoa(i)+"-"+filepath.Base(path)), path, func() (io.ReadCloser, error) { return os.Open(path) })
		}
		if err != nil {
			return nil, func() error { return nil }, errors.Join(err, done())
		}
		local = append(local, kept)
	}
	return local, done, nil
}

// isPipe reports whether path is a pipe, such as one that a shell makes for <(command).
func isPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// inputWait is how long an input is read before a message says so.
const inputWait = time.Second

// keepText copies an input that can be read only once to a file. It may be compressed.
func (a *app) keepText(ctx context.Context, path, name string, open func() (io.ReadCloser, error)) (string, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", domain.Errorf(domain.Unavailable, "%s: %w", name, err)
	}
	read := make(chan error, 1)
	go func() { // opening a pipe without a writer blocks, and reading it may take any time
		text, err := open()
		if err == nil {
			_, err = io.Copy(file, text)
			err = errors.Join(err, text.Close())
		}
		read <- errors.Join(err, file.Close())
	}()
	wait := time.NewTimer(inputWait)
	defer wait.Stop()
	for {
		select {
		case err := <-read:
			if err != nil {
				return "", domain.Errorf(domain.Unavailable, "%s: %w", name, err)
			}
			return path, nil
		case <-wait.C:
			a.note("rift: reading %s up to its end", name)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// remote opens the log of the node or of the EventStoreDB that a path names; nil if it
// names neither.
func (a *app) remote(c *cobra.Command, path string) (*source, error) {
	switch {
	case isConnection(path):
		return a.connectionSource(c.Context(), path)
	case isAddress(path):
		settings, err := config.LoadClient(c.Flags(), a.getenv)
		if err != nil {
			return nil, err
		}
		settings.Addr = path
		asked, err := a.newClient(settings)
		if err != nil {
			return nil, err
		}
		return asked.source(), nil
	}
	return nil, nil
}

// keepEvents copies a log to a file, up to its present end.
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

// openFile opens a file for reading; "-" is the standard input. An error begins with what
// the file holds.
func (a *app) openFile(what, path string) (io.ReadCloser, error) {
	if path == stdinPath {
		return io.NopCloser(a.stdin), nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, domain.Errorf(domain.NotFound, "%s: %w", what, err)
	}
	return file, nil
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
	if slices.ContainsFunc(paths, isConnection) { // which has positions of its own
		paths = slices.Clone(paths)
		for i := range paths {
			paths[i] = config.Redact(paths[i])
		}
		return "Look around a position: rift log import --data DIR '" + strings.Join(paths, "' '") + "', then rift log show --data DIR --from POSITION --limit 20"
	}
	switch {
	case len(paths) == 0:
		return "Look around a position: rift log show --from POSITION --limit 20"
	case len(paths) == 1 && isAddress(paths[0]):
		return "Look around a position: rift log show --addr " + paths[0] + " --from POSITION --limit 20"
	}
	return "Look around a position: rift log show " + named + " --from POSITION --limit 20"
}
