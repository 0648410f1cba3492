package transport

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/ringrift/rift/domain"
)

// maxAnswer limits what a client reads of one answer.
const maxAnswer = 64 << 20

// send makes a call and retries it while that can help.
func (c *Client) send(ctx context.Context, method, path string, values url.Values, header http.Header, body []byte, check answerCheck) ([]byte, error) {
	wait := c.backoff
	for try := 0; ; try++ {
		answer, after, err := c.once(ctx, method, path, values, header, body, check)
		if err == nil || try >= c.retries || !CodeOf(err).Retryable() || ctx.Err() != nil {
			return answer, err
		}
		// Half of the wait is random, so that many clients do not retry at
		// once.
		pause := max(after, wait/2+rand.N(wait/2+1))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer, err
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func (c *Client) request(ctx context.Context, method, path string, values url.Values, header http.Header, body []byte) (*http.Request, error) {
	address := *c.base
	joined, err := url.JoinPath(address.Path+"/", path)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "path %q: %w", path, err)
	}
	if address.RawPath = joined; true {
		if address.Path, err = url.PathUnescape(joined); err != nil {
			return nil, domain.Errorf(domain.Invalid, "path %q: %w", path, err)
		}
	}
	address.RawQuery = values.Encode()
	request, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "%s %s: %w", method, path, err)
	}
	request.Header = header.Clone()
	if request.Header.Get("Accept") == "" {
		request.Header["Accept"] = slices.Concat(jsonContent, problemContent)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.actor != "" {
		request.Header.Set(headerActor, c.actor)
	}
	return request, nil
}

func (c *Client) once(ctx context.Context, method, path string, values url.Values, header http.Header, body []byte, check answerCheck) ([]byte, time.Duration, error) {
	request, err := c.request(ctx, method, path, values, header, body)
	if err != nil {
		return nil, 0, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, 0, unreachable(ctx, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, 0, unreachable(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		refused, isProblem := readProblem(response.Header.Get("Content-Type"), answer)
		if !isProblem {
			return answer, 0, foreign(response, answer)
		}
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			refused.After = time.Duration(seconds) * time.Second
		}
		return answer, refused.After, refused
	}
	if err := check(answer); err != nil {
		return answer, 0, foreign(response, answer)
	}
	return answer, 0, nil
}
