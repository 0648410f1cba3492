package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog"
)

// failure is an error of the protocol: a status, a name in the trailer "exception", and
// further trailers.
type failure struct {
	code      codes.Code
	exception string
	text      string
	trailers  []string // key, value, …
	limit     int      // the bound that an append exceeded
}

// Error returns the text of the status.
func (f *failure) Error() string { return f.text }

// wrongVersion says that a stream does not have the expected revision.
type wrongVersion struct {
	stream            string
	expected, current domain.Revision
}

// Error says which revision was wanted and which was found.
func (w *wrongVersion) Error() string {
	return fmt.Sprintf("stream %s: want revision %s, found %s", w.stream, w.expected, w.current)
}

func errStreamDeleted(name string) error {
	return &failure{codes.FailedPrecondition, "stream-deleted", fmt.Sprintf("stream %s is deleted", name), []string{"stream-name", name}, 0}
}

func errAccessDenied(what string) error {
	return &failure{codes.PermissionDenied, "access-denied", "access denied: " + what, nil, 0}
}

func errUnauthenticated(what string) error { return &failure{code: codes.Unauthenticated, text: what} }

// refused converts an error of Config.Admit.
func refused(err error) error {
	if domain.CodeOf(err) == domain.Forbidden {
		return errAccessDenied(err.Error())
	}
	return err
}

func errMissingMetadata() error {
	return &failure{
		codes.InvalidArgument, "missing-required-metadata-property", "an event needs a type and a content type",
		[]string{"required-metadata-properties", keyType + "," + keyContentType},
		0,
	}
}

func errAppendTooLarge(most int) error {
	return &failure{
		codes.InvalidArgument, "maximum-append-size-exceeded", fmt.Sprintf("an append may have at most %d bytes of data", most),
		[]string{"maximum-append-size", strconv.Itoa(most)},
		most,
	}
}

// errWrongVersion returns a wrong version in the form for calls other than appends.
func errWrongVersion(w *wrongVersion) error {
	actual := ""
	if w.current >= 0 {
		actual = strconv.FormatInt(int64(w.current), 10)
	}
	return &failure{
		codes.FailedPrecondition, "wrong-expected-version", w.Error(),
		[]string{"stream-name", w.stream, "expected-version", strconv.FormatInt(int64(w.expected), 10), "actual-version", actual},
		0,
	}
}

func invalid(format string, args ...any) error { return domain.Errorf(domain.Invalid, format, args...) }

// errNotLeader returns an error with the leader's endpoint, if it is known, to which
// clients reconnect.
func errNotLeader(e *eventlog.NotLeader) error {
	host, port := endpoint(e.Leader.Address)
	if host == "" {
		return e
	}
	return &failure{
		codes.NotFound, "not-leader", e.Error(),
		[]string{"leader-endpoint-host", host, "leader-endpoint-port", strconv.FormatUint(uint64(port), 10)},
		0,
	}
}

// statusOf returns the status of an error, and sets its trailers on the call.
func statusOf(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var wrong *wrongVersion
	if errors.As(err, &wrong) {
		err = errWrongVersion(wrong)
	}
	var other *eventlog.NotLeader
	if errors.As(err, &other) {
		err = errNotLeader(other)
	}
	var known *failure
	if errors.As(err, &known) {
		if known.exception != "" {
			pairs := metadata.Pairs("exception", known.exception)
			for i := 0; i+1 < len(known.trailers); i += 2 {
				pairs.Append(known.trailers[i], ascii(known.trailers[i+1]))
			}
			_ = grpc.SetTrailer(ctx, pairs) // fails only outside of a call
		}
		return status.Error(known.code, known.text)
	}
	if _, already := status.FromError(err); already {
		return err
	}
	return status.Error(codeOf(err), err.Error())
}

func codeOf(err error) codes.Code {
	switch {
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	switch domain.CodeOf(err) {
	case domain.Invalid, domain.TooLarge:
		return codes.InvalidArgument
	case domain.Unauthorized:
		return codes.Unauthenticated
	case domain.Forbidden:
		return codes.PermissionDenied
	case domain.NotFound:
		return codes.NotFound
	case eventlog.Gone:
		return codes.FailedPrecondition
	case domain.Conflict, domain.Timeout:
		return codes.Aborted
	case domain.TooMany, domain.Unavailable, domain.NotLeader:
		return codes.Unavailable
	case domain.Corrupt:
		return codes.DataLoss
	default:
		return codes.Unknown
	}
}

// ascii returns a text for a trailer, percent-encoded if it is not printable ASCII.
func ascii(text string) string {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return url.PathEscape(text)
		}
	}
	return text
}

// errProtocol says that a message violates the order of the protocol.
func errProtocol(text string) error { return &failure{codes.Unknown, "", text, nil, 0} }
