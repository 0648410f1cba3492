package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ringrift/rift/domain"
)

// The nodes that claim over HTTP, each of 64 clients for its own.
const claimNodes = commandClients

// schedClaims holds the 99th percentile of a claim over HTTP against that of a
// request that does nothing. Each client goes round: it claims an item,
// completes it and adds another, so that the queue stays as long as it is; only
// the first of the three is timed, and beside the bound's run two requests that
// do nothing.
func (s *suite) schedClaims(ctx context.Context) (rows []Row, err error) {
	both, err := s.serve(ctx, "sched.claim.server")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, both.stop()) }()
	node, noop := both.node, both.noop
	for i := range claimNodes {
		status, answer, err := node.call(ctx, "POST", "/nodes/register", fmt.Sprintf(`{"node_id":%q,"capabilities":["gpu"],"facts":{"gpu":"NVIDIA H100 PCIe","slots":8}}`, claimant(i)))
		if err != nil || status != 200 {
			return nil, errors.Join(domain.Errorf(domain.Internal, "bench: register a node: %d %s", status, answer), err)
		}
	}
	medians := map[string][]float64{}
	cell := func(name string, server *server, round func(*asker) error) peer {
		return peer{name, func(ctx context.Context, _ int) (float64, error) {
			if err := node.caughtUp(ctx); err != nil {
				return 0, err
			}
			micros, err := s.rounders(ctx, server.address, commandClients, round)
			if err != nil {
				return 0, err
			}
			medians[name] = append(medians[name], quantile(micros, 0.5))
			return quantile(micros, 0.99), nil
		}}
	}
	values, err := s.rounds(ctx, "sched.claim", cell("claim", node, (*asker).claimAround), cell("noop", noop, (*asker).noopAround))
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("latency of POST /work/claim at %d clients that claim, complete and add in turn; %d items queued", commandClients, seededItems)
	return []Row{
		row("sched.claim.p99", about+", 99th percentile", "µs", values["claim"], "no-op POST, p99", values["noop"], ratioAtMost(3)),
		row("sched.claim.median", about+", median", "µs", medians["claim"], "no-op POST, median", medians["noop"], nil),
	}, nil
}

func claimant(i int) string { return fmt.Sprintf("gpu-%03d", i) }

// asker is one client with its connection, on its way round.
type asker struct {
	*connection
	host   string
	node   string
	micros []float64
}

// rounders lets clients go round, first unmeasured, and gives the latencies of
// what they timed, sorted.
func (s *suite) rounders(ctx context.Context, address string, clients int, around func(*asker) error) (micros []float64, err error) {
	askers := make([]*asker, clients)
	defer func() {
		for _, a := range askers {
			if a != nil {
				err = errors.Join(err, a.socket.Close())
			}
		}
	}()
	for i := range askers {
		c, err := dial(ctx, address)
		if err != nil {
			return nil, err
		}
		c.keeps = true
		askers[i] = &asker{connection: c, host: address, node: claimant(i)}
	}
	from := time.Now().Add(s.warmTime())
	_, err = hammer(ctx, clients, s.warmTime(), s.cellTime(), func(_ context.Context, worker, _ int) error {
		if time.Now().Before(from) {
			askers[worker].micros = askers[worker].micros[:0]
		}
		return around(askers[worker])
	})
	if err != nil {
		return nil, err
	}
	for _, a := range askers {
		micros = append(micros, a.micros...)
	}
	slices.Sort(micros)
	return micros, nil
}

// timed sends a request whose latency counts.
func (a *asker) timed(path, body string) error {
	asked := time.Now()
	if err := a.send(path, body); err != nil {
		return err
	}
	a.micros = append(a.micros, float64(time.Since(asked))/float64(time.Microsecond))
	return nil
}

func (a *asker) send(path, body string) error { return a.exchange(post(a.host, path, body)) }

func (a *asker) noopAround() error {
	return errors.Join(
		a.timed("/work/claim", `{"node_id":"`+a.node+`"}`),
		a.send("/work/complete", `{"task_id":"t-0196a1c4-0000","lease":1}`),
		a.send("/work/add", `{"task_type":"selfplay","config_key":"hex8_2p"}`))
}

func (a *asker) claimAround() error {
	if err := a.timed("/work/claim", `{"node_id":"`+a.node+`"}`); err != nil {
		return err
	}
	var answer struct {
		Items []struct {
			TaskID string `json:"task_id"`
			Lease  uint64 `json:"lease"`
		} `json:"items"`
	}
	if err := json.Unmarshal(a.body, &answer); err != nil {
		return domain.Errorf(domain.Internal, "bench: the answer to a claim: %w", err)
	}
	if len(answer.Items) != 1 {
		return domain.Errorf(domain.Internal, "bench: want one item claimed by %s, found %s", a.node, bytes.TrimSpace(a.body))
	}
	item := answer.Items[0]
	return errors.Join(
		a.send("/work/complete", fmt.Sprintf(`{"task_id":%q,"lease":%d}`, item.TaskID, item.Lease)),
		a.send("/work/add", `{"task_type":"selfplay","config_key":"hex8_2p"}`))
}
