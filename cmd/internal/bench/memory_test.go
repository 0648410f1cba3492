package bench

import "testing"

// An item takes more than its name, and less than a payload would add.
func TestBytesOfItem(t *testing.T) {
	found, err := bytesOfItem(2000)
	if err != nil || found < 100 || found > 4096 {
		t.Errorf("found %v bytes, %v", found, err)
	}
}
