// Package outfile writes the files that users name. A regular file appears whole or
// not at all; it keeps its mode and owner if it existed, and gets those of the
// umask if it is new. A symbolic link is followed and its target written; devices,
// pipes and sockets are written to directly.
//
// It never replaces anything but a regular file, and does not compress.
//
// Read Create.
package outfile

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ringrift/rift/domain"
)

// File is a file being written. Close makes it appear under its name, Discard
// leaves the old file unchanged; neither holds for anything but a regular file.
type File struct {
	file *os.File
	path string      // the final name; empty: the file is written in place
	over fs.FileInfo // the existing file of that name; nil: none
	done bool
}

// Create starts a file. The error is not_found if its folder is missing, forbidden
// if it may not be written, and invalid if the name is that of a folder or of a
// dangling link.
func Create(path string) (*File, error) {
	target, over, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if over != nil && !over.Mode().IsRegular() {
		file, err := os.OpenFile(target, os.O_WRONLY, 0)
		if err != nil {
			return nil, coded(err)
		}
		return &File{file: file}, nil
	}
	file, err := beside(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, domain.Errorf(domain.NotFound, "want a folder to write %s in, found none: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, coded(err)
	}
	return &File{file: file, path: target, over: over}, nil
}

// WriteFile writes a whole file like Create.
func WriteFile(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Close()
}

// resolve follows links, and returns the target and what is there.
func resolve(path string) (target string, over fs.FileInfo, err error) {
	if path == "" {
		return "", nil, domain.Errorf(domain.Invalid, "want the name of a file, found none")
	}
	// A link such as /dev/stdout may lead to what has no name, a pipe say.
	if over, err = os.Stat(path); err == nil && !over.Mode().IsRegular() && !over.IsDir() {
		return path, over, nil
	}
	target, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if link, err := os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
			return "", nil, domain.Errorf(domain.Invalid, "want a file, found %s to be a link to nothing", path)
		}
		return path, nil, nil
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", nil, coded(err)
	case err != nil:
		return "", nil, domain.Errorf(domain.Invalid, "want a file, found %s to lead to none: %w", path, err)
	}
	over, err = os.Stat(target)
	switch {
	case err != nil:
		return "", nil, coded(err)
	case over.IsDir():
		return "", nil, domain.Errorf(domain.Invalid, "want a file, found %s to be a folder", path)
	}
	return target, over, nil
}

// beside creates a new file in the folder of another one, with the mode of the
// umask.
func beside(path string) (file *os.File, err error) {
	for range 100 {
		name := path + ".part-" + strconv.FormatUint(rand.Uint64(), 36)
		if file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666); !errors.Is(err, fs.ErrExist) {
			return file, err
		}
	}
	return nil, err
}

// Write adds to the file.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	return n, coded(err)
}

// Close syncs the file and gives it its name.
func (f *File) Close() error {
	switch {
	case f.done:
		return nil
	case f.path == "":
		f.done = true
		return coded(f.file.Close())
	}
	if err := f.file.Sync(); err != nil {
		return errors.Join(coded(err), f.Discard())
	}
	if f.over != nil {
		// A user who may write a file need not be able to change its owner back.
		if err := errors.Join(f.file.Chmod(f.over.Mode().Perm()), keepOwner(f.file, f.over)); err != nil {
			return f.inPlace()
		}
	}
	f.done = true
	if err := f.file.Close(); err != nil {
		return errors.Join(coded(err), os.Remove(f.file.Name()))
	}
	if err := os.Rename(f.file.Name(), f.path); err != nil {
		return errors.Join(coded(err), os.Remove(f.file.Name()))
	}
	return nil
}

// inPlace overwrites the file of that name.
func (f *File) inPlace() error {
	_, err := f.file.Seek(0, io.SeekStart)
	var to *os.File
	if err == nil {
		to, err = os.OpenFile(f.path, os.O_WRONLY|os.O_TRUNC, 0)
	}
	if err == nil {
		_, err = io.Copy(to, f.file)
		err = errors.Join(err, to.Sync(), to.Close())
	}
	return errors.Join(coded(err), f.Discard())
}

// Discard removes what was written. After Close it does nothing.
func (f *File) Discard() error {
	if f.done {
		return nil
	}
	f.done = true
	err := f.file.Close()
	if f.path != "" {
		err = errors.Join(err, os.Remove(f.file.Name()))
	}
	return coded(err)
}

func coded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return domain.Errorf(domain.NotFound, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return domain.Errorf(domain.Forbidden, "%w", err)
	}
	return domain.Errorf(domain.Unavailable, "%w", err)
}
