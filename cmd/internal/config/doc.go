// Package config reads the settings of the command line and of a node from four
// sources: flags, then the environment (RIFT_…), then a file (rift.yaml), then
// defaults. Earlier sources take precedence.
//
// It never starts anything and never opens what a setting names; it returns the
// settings, the source of each, and all faults at once. A setting is one field of
// Serve or Client: its tags give the key, the default and the help. The flag of key
// limits.body_bytes is --limits-body-bytes, its variable RIFT_LIMITS_BODY_BYTES.
//
// Read serve.go (the settings), then load.go (how they are read).
package config
