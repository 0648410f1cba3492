package raft_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/raftlog"
	"github.com/ringrift/rift/transport/raft"
)

// A request that a node signed is taken once, by the node that it is for.
func Example() {
	first, second, operator := raft.NewSecret(), raft.NewSecret(), raft.NewSecret()
	list := raftlog.Configuration{Members: []raftlog.Member{{Node: "n1", Key: first.Public()}, {Node: "n2", Key: second.Public()}}}
	trusts := raft.Public{Key: operator.Public(), Signs: operator.Signs()}
	noon := func() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }
	signer := raft.NewSigner(raft.NewRing("c1", "n2", second, trusts, list), raft.Saying{Address: "http://10.0.0.2:8770"}, noon)
	verifier := raft.NewVerifier(raft.NewRing("c1", "n1", first, trusts, list), noon)

	request := httptest.NewRequest(http.MethodPost, "/raft/append", http.NoBody)
	if _, err := signer.Sign(request, "n1", nil); err != nil {
		fmt.Println(err)
	}
	from, err := verifier.Verify(request)
	fmt.Println(from.Node, from.Address, raft.CheckBody(nil, from.Digest), err)
	_, err = verifier.Verify(request)
	fmt.Println(domain.CodeOf(err), err)
	// Output:
	// n2 http://10.0.0.2:8770 <nil> <nil>
	// unauthorized want a request that was not sent before
}
