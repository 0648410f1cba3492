package esdbserver

import (
	"context"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// unary is the interceptor of unary calls. It authenticates the caller, reserves the call's
// memory, forwards the call to the leader or handles it, and converts its error.
func (s *Server) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	defer s.recovered(info.FullMethod, &err)
	ctx, err = s.authenticated(ctx)
	ctx, leave, none := s.begin(ctx)
	if none != nil {
		return nil, s.ended(ctx, none)
	}
	defer leave()
	var leader *grpc.ClientConn
	if err == nil {
		leader, err = s.elsewhere(ctx, info.FullMethod)
	}
	switch {
	case err != nil:
	case leader != nil:
		answer, err = ask(ctx, leader, info.FullMethod, request)
	default:
		answer, err = handler(ctx, request)
	}
	return answer, s.ended(ctx, err)
}

// stream is the interceptor of streaming calls. It does the same, and ends a call when the
// server closes.
func (s *Server) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer s.recovered(info.FullMethod, &err)
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	stop := context.AfterFunc(s.running, cancel)
	defer stop()
	ctx, err = s.authenticated(ctx)
	ctx, leave, none := s.begin(ctx)
	if none != nil {
		return s.ended(stream.Context(), none)
	}
	defer leave()
	var leader *grpc.ClientConn
	if err == nil {
		leader, err = s.elsewhere(ctx, info.FullMethod)
	}
	switch {
	case leader != nil:
		err = relay(ctx, leader, stream, info)
	case err == nil:
		err = handler(server, &boundStream{stream, ctx})
	case info.IsClientStream && !info.IsServerStream:
		drain(stream)
	}
	return s.ended(stream.Context(), err)
}

// begin counts a call and reserves its memory, until leave.
func (s *Server) begin(ctx context.Context) (_ context.Context, leave func(), err error) {
	key := limitKeyOf(ctx)
	free, err := s.limiter.enter(key)
	if err != nil {
		return ctx, nil, err
	}
	held, err := s.memory.open(key)
	if err != nil {
		free()
		return ctx, nil, err
	}
	return context.WithValue(ctx, reservationKey{}, held), func() { held.close(); free() }, nil
}

// ended returns the status of a call.
func (s *Server) ended(ctx context.Context, err error) error {
	if err != nil && s.running.Err() != nil {
		return status.Error(codes.Unavailable, "the server is shutting down")
	}
	return statusOf(ctx, err)
}

// recovered converts a panic of a call to an error of that call.
func (s *Server) recovered(method string, err *error) {
	if cause := recover(); cause != nil {
		s.logger.Error("call panicked", "method", method, "cause", cause, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "the server failed on this call")
	}
}

// boundStream is a stream with another context.
type boundStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context returns a context that ends with the call or with the server.
func (b *boundStream) Context() context.Context { return b.ctx }
