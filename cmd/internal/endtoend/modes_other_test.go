//go:build !linux

package endtoend

import (
	"os"
	"testing"
)

// obeyModes skips the test where it runs as root, who may write anywhere.
func obeyModes(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere, and only Linux lets it give that up; run this as another user")
	}
}
