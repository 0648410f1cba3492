// Package transport is the HTTP edge of a node: one table of routes on go-kit
// endpoints, and from that same table the handler, the description at
// /openapi.json, the listing of routes and the typed client.
//
// It never opens a log or a store and never decides anything: what it needs of
// the process it asks of a Backend. It turns requests into commands and
// queries, their answers into JSON, and every error into one problem document
// with a stable code.
//
// The rows come from the areas, which are packages of their own below it, one per
// area: transport/work, transport/nodes … Each gives one Area, which is also where
// its parts in the other rooms are put together.
//
// Read route.go (what a row of the table is), area.go and an area such as
// transport/elo, handler.go (how the rows are mounted and what surrounds each), then
// bind.go and encode.go, the two ends of a request.
package transport
