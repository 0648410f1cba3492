package transport

import (
	"encoding/json"
	"net/http"
)

// WriteProblem answers a request with an error, outside of the table of routes.
func WriteProblem(w http.ResponseWriter, err error) {
	p := problemOf(err)
	w.Header()["Content-Type"] = problemContent
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // whoever asked is gone, or has the answer
}
