// Package transport is the HTTP layer of a node: one table of routes on
// go-kit endpoints, from which the handler, the description at
// /openapi.json, the listing of routes and the typed client are made.
//
// It never opens a log or a store and never decides anything: it asks a
// Backend for what it needs of the process. It turns requests into commands
// and queries, their answers into JSON, and every error into a problem
// document with a stable code.
//
// The routes come from the areas, which are packages below it:
// transport/work, transport/nodes and so on. Each provides one Area, which
// also collects the parts of that area in other packages.
//
// Read route.go (what a route is), area.go and an area such as
// transport/elo, handler.go (how the routes are mounted and the middleware
// around them), then bind.go and encode.go, the two ends of a request.
package transport
