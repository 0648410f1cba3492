package config

import (
	"io"
	"os"

	"github.com/ringrift/rift/domain"
)

// MaxFile bounds a file of settings, tokens, keys or certificates: what is named by
// mistake, a device say, may have no end.
const MaxFile = 16 << 20

// ReadFile reads a file of settings, tokens, keys or certificates.
func ReadFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxFile {
		return nil, domain.Errorf(domain.TooLarge, "%s: want at most %d MiB, found more", path, MaxFile>>20)
	}
	return text, nil
}
