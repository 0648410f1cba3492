package work

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/ringrift/rift/domain"
)

// newTaskID names an item whose caller gave no name, by the command that adds it:
// the same command gives the same name. If the command's id begins with a UUID of
// version 7, as ids made up by nodes and clients do, the name begins with its time.
// Items added one after the other then stand together in the log and in the read
// models, and a compaction rewrites the newest part instead of everything.
func newTaskID(command string) domain.TaskID {
	derived := domain.DeriveID(command, 0).String()
	millis, ok := uuidMillis(command)
	if !ok {
		return domain.TaskID("t-" + derived[:13])
	}
	// Nine digits of base 32 hold the 45 bits that are in use until the year 3084.
	return domain.TaskID(fmt.Sprintf("t-%09s-%s", strconv.FormatUint(millis, 32), derived[:8]))
}

// uuidMillis is the time of a UUID of version 7 that text begins with, in
// milliseconds since 1970.
func uuidMillis(text string) (millis uint64, ok bool) {
	const uuidLen = 36
	if len(text) < uuidLen {
		return 0, false
	}
	id, err := domain.ParseEventID(text[:uuidLen])
	if err != nil || id[6]>>4 != 7 {
		return 0, false
	}
	return binary.BigEndian.Uint64(id[:8]) >> 16, true
}
