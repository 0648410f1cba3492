// Package backup copies a log to a folder, and makes a log of such a folder again: every
// event at its position, with its stream, revision, id, time, metadata and payload bytes,
// and the limits of streams. It copies no read models, which are made from the log, and
// no state of Raft: a restored log is that of a node alone.
//
// A backup is a folder with
//
//	MANIFEST.json                        what the backup has, see Manifest
//	000000000001-000000300000.events     events by position, the first and the last
//	000000300001-000000310000.events     what a later backup added
//	LOCK                                 keeps a second writer out
//
// Files with events never change. The manifest is replaced by a rename when a new one is
// synced, so a backup that is interrupted leaves what was there before. What the manifest
// does not name does not count.
//
// The events of a log have a chained digest: SHA-256 of the digest before and the record of
// the event. So two backups of one log that end at the same position have the same digest,
// in however many files, and one that ends later continues it.
//
// Read frame.go for the form of the files, then manifest.go, write.go, read.go and
// restore.go.
package backup
