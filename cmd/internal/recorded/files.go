package recorded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringrift/rift/domain"
)

// filesOf lists the file that a path names, or those of a folder by name and what
// else is in it. A recording is read more than once, which a pipe cannot be, and has
// an end, which a device may not have.
func filesOf(path string) (files []string, leftOut []LeftOut, folder bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, false, fileError(err)
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() && path != os.DevNull {
			return nil, nil, false, domain.Errorf(domain.Invalid, "%s: want a file or a folder, found %s", path, KindOf(info))
		}
		return []string{path}, nil, false, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, true, fileError(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		inside := filepath.Join(path, entry.Name())
		switch info, err := os.Stat(inside); { // of what a link leads to
		case err != nil:
			leftOut = append(leftOut, LeftOut{inside, err.Error()})
		case info.IsDir():
			leftOut = append(leftOut, LeftOut{inside, inside + ": it is a folder in a folder; name it to read what is in it"})
		case !info.Mode().IsRegular():
			leftOut = append(leftOut, LeftOut{inside, inside + ": it is " + KindOf(info)})
		default:
			files = append(files, inside)
		}
	}
	if len(files) == 0 {
		return nil, leftOut, true, domain.Errorf(domain.NotFound, "folder %s: want recordings in it, found no file", path)
	}
	return files, leftOut, true, nil
}

// KindOf says what a file is that is none to read.
func KindOf(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no plain file"
}

func fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return domain.Errorf(domain.NotFound, "%w", err)
	case domain.CodeOf(err) != domain.Internal:
		return err // it says already what it is
	}
	return domain.Errorf(domain.Unavailable, "%w", err)
}
