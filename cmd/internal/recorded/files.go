package recorded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringrift/rift/domain"
)

// filesOf returns the file at a path, or the files in a folder and what else is in it. It
// refuses pipes and devices, because a recording is read more than once and to its end.
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
		switch info, err := os.Stat(inside); { // follows links
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

// KindOf names the kind of a file that is not a regular one.
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
		return err
	}
	return domain.Errorf(domain.Unavailable, "%w", err)
}
