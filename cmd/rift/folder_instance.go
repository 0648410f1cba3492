package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
)

// instanceFile is the file in which a data folder keeps its random id.
const instanceFile = "INSTANCE"

// instanceBytes is the length of that id before hexadecimal encoding.
const instanceBytes = 16

// markInstance gives a data folder an id, if it has none yet, and returns the proof
// that a process serves this folder (see instanceOf). The caller must hold the folder's
// log.
func markInstance(dir string) (string, error) {
	proof, err := instanceOf(dir)
	if err == nil || domain.CodeOf(err) != domain.NotFound {
		return proof, err
	}
	word := make([]byte, instanceBytes)
	_, _ = rand.Read(word) // it never fails
	path := filepath.Join(dir, instanceFile)
	temporary := path + ".new"
	if err := os.WriteFile(temporary, []byte(hex.EncodeToString(word)+"\n"), 0o644); err != nil {
		return "", domain.Errorf(domain.Unavailable, "mark of the data folder: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return "", domain.Errorf(domain.Unavailable, "mark of the data folder: %w", err)
	}
	return instanceOf(dir)
}

// instanceOf is the proof that a node gives of serving a data folder. It is a hash of
// the folder's id and of the file's place on its disk: a copy of the folder has the
// same id at another place. The hash reveals neither.
func instanceOf(dir string) (string, error) {
	file, err := os.Open(filepath.Join(dir, instanceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", domain.Errorf(domain.NotFound, "data folder %s has no mark of its own yet", dir)
	}
	if err != nil {
		return "", domain.Errorf(domain.Unavailable, "mark of the data folder: %w", err)
	}
	defer func() { _ = file.Close() }() // opened for reading
	text := make([]byte, 2*instanceBytes+2)
	n, _ := file.Read(text) // an error leaves no id, which the next check reports
	word := strings.TrimSpace(string(text[:n]))
	if decoded, err := hex.DecodeString(word); err != nil || len(decoded) != instanceBytes {
		return "", domain.Errorf(domain.NotFound, "data folder %s: want %d bytes in hexadecimal in %s, found %q", dir, instanceBytes, instanceFile, word)
	}
	disk, number, err := fileNumber(file)
	if err != nil {
		return "", domain.Errorf(domain.Unavailable, "mark of the data folder: %w", err)
	}
	sum := sha256.New()
	for _, part := range []string{word, strconv.FormatUint(disk, 10), strconv.FormatUint(number, 10)} {
		_, _ = sum.Write([]byte(part + "\x00")) // it never fails
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
