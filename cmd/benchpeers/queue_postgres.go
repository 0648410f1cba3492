package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// schema is a queue as a careful user makes it: the lease number keeps a worker from
// completing a job after its lease was revoked, the deadline is there for a process that
// revokes leases, and the index has the waiting jobs in order.
const schema = `
CREATE TABLE jobs (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	type     text NOT NULL,
	config   text NOT NULL,
	priority int NOT NULL,
	state    text NOT NULL DEFAULT 'queued',
	payload  jsonb NOT NULL,
	node     text,
	lease    bigint NOT NULL DEFAULT 0,
	deadline timestamptz,
	result   jsonb,
	added    timestamptz NOT NULL DEFAULT now(),
	ended    timestamptz
);
CREATE INDEX jobs_queued ON jobs (priority DESC, id) WHERE state = 'queued';
`

// Each statement is a transaction, prepared once for each connection.
const (
	addOne      = `INSERT INTO jobs (type, config, priority, payload) VALUES ($1, $2, $3, $4) RETURNING id`
	addMany     = `INSERT INTO jobs (type, config, priority, payload) SELECT $1, $2, $3, unnest($4::jsonb[]) RETURNING id`
	claimMany   = `WITH next AS MATERIALIZED (SELECT id FROM jobs WHERE state = 'queued' ORDER BY priority DESC, id LIMIT $2 FOR UPDATE SKIP LOCKED) UPDATE jobs SET state = 'leased', lease = lease + 1, node = $1, deadline = now() + interval '60 seconds' FROM next WHERE jobs.id = next.id RETURNING jobs.id, jobs.lease, jobs.type, jobs.config, jobs.payload`
	completeOne = `UPDATE jobs SET state = 'done', result = $3, deadline = NULL, ended = now() WHERE id = $1 AND lease = $2 AND state = 'leased'`
	completeAll = `UPDATE jobs SET state = 'done', result = done.result, deadline = NULL, ended = now() FROM unnest($1::bigint[], $2::bigint[], $3::jsonb[]) AS done (id, lease, result) WHERE jobs.id = done.id AND jobs.lease = done.lease AND state = 'leased'`
)

// The fields of every job, on both sides.
const (
	jobType     = "selfplay"
	jobConfig   = "hex8_2p"
	jobPriority = 50
	jobResult   = `{"games":200,"seconds":61.5}`
)

func nodeName(i int) string { return fmt.Sprintf("gpu-%03d", i) }

// tableClient is a worker with a connection to PostgreSQL.
type tableClient struct {
	conn *pgx.Conn
	node string
	held []row
}

type row struct {
	ID, Lease    int64
	Type, Config string
	Payload      json.RawMessage
}

func (t *tableClient) add(ctx context.Context, payloads []string) error {
	if len(payloads) == 1 {
		var id int64
		return t.conn.QueryRow(ctx, addOne, jobType, jobConfig, jobPriority, payloads[0]).Scan(&id)
	}
	rows, err := t.conn.Query(ctx, addMany, jobType, jobConfig, jobPriority, payloads)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err == nil && len(ids) != len(payloads) {
		err = fmt.Errorf("want %d jobs added, found %d", len(payloads), len(ids))
	}
	return err
}

func (t *tableClient) claim(ctx context.Context, n int) (int, error) {
	rows, err := t.conn.Query(ctx, claimMany, t.node, n)
	if err != nil {
		return 0, err
	}
	t.held, err = pgx.AppendRows(t.held[:0], rows, pgx.RowToStructByPos[row])
	return len(t.held), err
}

func (t *tableClient) complete(ctx context.Context) error {
	n := len(t.held)
	ids, leases := make([]int64, n), make([]int64, n)
	for i, job := range t.held {
		ids[i], leases[i] = job.ID, job.Lease
	}
	t.held = t.held[:0]
	statement, args := completeAll, []any{ids, leases, slices.Repeat([]string{jobResult}, n)}
	if n == 1 {
		statement, args = completeOne, []any{ids[0], leases[0], jobResult}
	}
	tag, err := t.conn.Exec(ctx, statement, args...)
	if err == nil && tag.RowsAffected() != int64(n) {
		err = fmt.Errorf("want %d jobs completed, found %d", n, tag.RowsAffected())
	}
	return err
}

func (t *tableClient) close(ctx context.Context) error { return t.conn.Close(ctx) }
