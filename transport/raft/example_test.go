package raft_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport/raft"
)

// A request that a node signed is taken once.
func Example() {
	key := raft.Key{Cluster: "c1", Secret: []byte("32 bytes of secret, or some more")}
	noon := func() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }
	signer, verifier := raft.NewSigner(key, "n2", "http://10.0.0.2:8770", noon), raft.NewVerifier(key, noon)

	request := httptest.NewRequest(http.MethodPost, "/raft/append", http.NoBody)
	signer.Sign(request, nil)
	from, err := verifier.Verify(request)
	fmt.Println(from.Node, from.Address, raft.CheckBody(nil, from.Digest), err)
	_, err = verifier.Verify(request)
	fmt.Println(domain.CodeOf(err), err)
	// Output:
	// n2 http://10.0.0.2:8770 <nil> <nil>
	// unauthorized want a request that was not sent before
}
