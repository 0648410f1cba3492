package transport

import (
	"encoding/json"
	"net/http"
)

// WriteProblem answers a request outside the route table with an error.
func WriteProblem(w http.ResponseWriter, err error) {
	p := problemOf(err)
	w.Header()["Content-Type"] = problemContent
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller may be gone
}
