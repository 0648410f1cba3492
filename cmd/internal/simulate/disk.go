package simulate

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringrift/rift/eventlog/pebblelog"
	"github.com/ringrift/rift/projections/store"
)

// OpenLog creates a log in a folder without syncing to disk: an interrupted
// simulation is started again and not recovered.
func OpenLog(folder string, start time.Time) (*pebblelog.Log, error) {
	return pebblelog.Open(folder, pebblelog.Options{FS: store.Unsynced(vfs.Default), Clock: func() time.Time { return start }})
}
