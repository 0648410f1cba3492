// Package foreign is the form that events of EventStoreDB have in a log of
// ours, and events of ours have in EventStoreDB. The engine that keeps a log
// there and the server that speaks that database's protocol both go by it, so
// an event that crosses in either direction and comes back is the same one.
//
// It knows names, types, data and metadata, byte by byte; it never talks to
// anybody and never interprets an event.
//
// Read Event first.
package foreign
