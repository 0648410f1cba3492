// Package config gathers the settings of the command line and of a node from
// four places: flags, then the environment (RIFT_…), then a file (rift.yaml),
// then defaults. What stands in an earlier place wins.
//
// It never starts anything and never opens what a setting names; it says what
// was asked for, from where, and every fault of it at once. A setting is one
// field of Serve or Client: its tags give the key, the default and the help.
// The flag of key limits.body_bytes is --limits-body-bytes, its variable
// RIFT_LIMITS_BODY_BYTES.
//
// Read serve.go (the settings), then load.go (how they are found).
package config
