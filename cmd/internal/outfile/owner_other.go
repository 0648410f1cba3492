//go:build !unix

package outfile

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: a new file has the owner of its folder's rules.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
