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

// instanceFile is where a data folder keeps the word that tells it from others.
const instanceFile = "INSTANCE"

// instanceBytes is the length of that word before it is written in hexadecimal.
const instanceBytes = 16

// markInstance gives a data folder a word of its own, if it has none yet, and
// returns the proof that a process has this folder before it: see instanceOf. Only
// who holds the folder's log may call it.
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

// instanceOf is what a node answers that serves a data folder. It is made of the
// folder's word and of the place of the file on its disk: a copy of the folder has
// the same word and another place. It says nothing of either.
func instanceOf(dir string) (string, error) {
	file, err := os.Open(filepath.Join(dir, instanceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", domain.Errorf(domain.NotFound, "data folder %s has no mark of its own yet", dir)
	}
	if err != nil {
		return "", domain.Errorf(domain.Unavailable, "mark of the data folder: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	text := make([]byte, 2*instanceBytes+2)
	n, _ := file.Read(text) // an error leaves no word, which is told below
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
