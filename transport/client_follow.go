package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"time"

	"github.com/ringrift/rift/domain"
)

// streamContent is the media type of a stream of events.
const streamContent = "text/event-stream"

// maxProblem limits how much is read of an answer that is not a stream.
const maxProblem = 1 << 20

// Followed is one event of a stream.
type Followed struct {
	Position domain.Position
	Record   EventRecord
	JSON     json.RawMessage
}

// Follow yields the events of the log after a position. When the connection
// breaks it reconnects and resumes where it was. A permanent error ends it
// and is the last thing yielded.
func (c *Client) Follow(ctx context.Context, after domain.Position, selection Selection) iter.Seq2[Followed, error] {
	return func(yield func(Followed, error) bool) {
		first := c.backoff
		if first <= 0 {
			first = firstBackoff // so that a node that hangs up at once is not called in a tight loop
		}
		wait := first
		for {
			seen, stop, err := c.followOnce(ctx, after, selection, yield)
			if stop {
				return
			}
			if seen > after {
				after, wait = seen, first
			}
			if ctx.Err() != nil {
				yield(Followed{}, ctx.Err())
				return
			}
			if err != nil && !CodeOf(err).Retryable() {
				yield(Followed{}, err)
				return
			}
			if err != nil && c.broken != nil {
				c.broken(err, after, wait)
			}
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				yield(Followed{}, ctx.Err())
				return
			}
			wait = min(2*wait, 5*time.Second)
		}
	}
}

func (c *Client) followOnce(ctx context.Context, after domain.Position, selection Selection, yield func(Followed, error) bool) (seen domain.Position, stop bool, err error) {
	path, values, err := c.address("events.stream", StreamQuery{Selection: selection}, nil)
	if err != nil {
		return after, false, err
	}
	request, err := c.request(ctx, http.MethodGet, path, values, http.Header{"Accept": {streamContent}, "Last-Event-Id": {after.String()}}, nil)
	if err != nil {
		return after, false, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return after, false, unreachable(ctx, err)
	}
	defer response.Body.Close()
	if media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); response.StatusCode != http.StatusOK || media != streamContent {
		answer, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
		if err != nil {
			return after, false, unreachable(ctx, err)
		}
		if refused, isProblem := readProblem(response.Header.Get("Content-Type"), answer); isProblem {
			return after, false, refused
		}
		return after, false, foreign(response, answer)
	}
	seen = after
	for line, err := range sseEvents(response.Body) {
		if err != nil {
			return seen, false, unreachable(ctx, err)
		}
		switch {
		case line.event == "problem":
			refused, isProblem := readProblem(problemContent[0], line.data)
			if !isProblem {
				return seen, false, NoAnswer("stream of events: want a problem of rift, found %.60q", line.data)
			}
			return seen, false, refused
		case line.id != "":
			position, err := domain.ParsePosition(line.id)
			if err != nil {
				return seen, false, NoAnswer("stream of events: want a position as id, found %.60q", line.id)
			}
			if len(line.data) > 0 {
				one := Followed{Position: position, JSON: line.data}
				if err := json.Unmarshal(line.data, &one.Record); err != nil {
					return seen, false, NoAnswer("stream of events: at %d: want the JSON of an event: %v", position, err)
				}
				if !yield(one, nil) {
					return seen, true, nil
				}
			}
			seen = position
		}
	}
	return seen, false, nil
}

// sseEvent is one event block of a stream of server-sent events.
type sseEvent struct {
	id, event string
	data      []byte
}

// sseEvents splits a stream into its blocks.
func sseEvents(r io.Reader) iter.Seq2[sseEvent, error] {
	return func(yield func(sseEvent, error) bool) {
		reader := bufio.NewReaderSize(r, 64<<10)
		var block sseEvent
		for {
			line, err := readLine(reader)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(sseEvent{}, err)
				}
				return
			}
			if len(line) == 0 {
				if block.id != "" || block.data != nil {
					if !yield(block, nil) {
						return
					}
				}
				block = sseEvent{}
				continue
			}
			field, value, _ := bytes.Cut(line, []byte(":"))
			value = bytes.TrimPrefix(value, []byte(" "))
			switch string(field) {
			case "id":
				block.id = string(value)
			case "event":
				block.event = string(value)
			case "data":
				if block.data != nil {
					block.data = append(block.data, '\n')
				}
				block.data = append(block.data, value...)
			}
		}
	}
}

func readLine(reader *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, more, err := reader.ReadLine()
		if err != nil {
			return nil, err
		}
		line = append(line, part...)
		if len(line) > maxAnswer {
			return nil, fmt.Errorf("want lines of at most %d bytes", maxAnswer)
		}
		if !more {
			return line, nil
		}
	}
}
