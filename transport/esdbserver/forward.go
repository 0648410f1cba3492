package esdbserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ringrift/rift/eventlog"
)

// A node that does not lead forwards appends and deletions to the leader, with the caller's
// credentials. The header requiresLeader prevents forwarding. A forwarded call has it, so
// it is forwarded once at most.

const requiresLeader = "requires-leader"

// passedOn are the headers of a call that are forwarded.
var passedOn = []string{"authorization", "connection-name"}

// sentOn are the methods that are forwarded. Calls of persistent subscriptions are not:
// their callers have to connect to the leader.
var sentOn = map[string]bool{
	streams.Streams_Append_FullMethodName: true, streams.Streams_BatchAppend_FullMethodName: true,
	streams.Streams_Delete_FullMethodName: true, streams.Streams_Tombstone_FullMethodName: true,
}

// elsewhere returns the connection on which to forward a call; nil: this node answers it.
// It returns a NotLeader error if the caller has to connect to the leader.
func (s *Server) elsewhere(ctx context.Context, method string) (*grpc.ClientConn, error) {
	if s.config.Leadership == nil || !strings.HasPrefix(method, "/"+streams.Streams_ServiceDesc.ServiceName+"/") {
		return nil, nil
	}
	leader := s.leader()
	if leader.Self {
		return nil, nil
	}
	required := metadata.ValueFromIncomingContext(ctx, requiresLeader)
	if len(required) > 0 && strings.EqualFold(required[0], "true") {
		return nil, &eventlog.NotLeader{Leader: leader}
	}
	if !sentOn[method] {
		return nil, nil
	}
	if _, certificate := certified(ctx); certificate || leader.Address == "" {
		return nil, &eventlog.NotLeader{Leader: leader} // the certificate cannot be forwarded
	}
	return s.toLeader.conn(leader.Address)
}

// leaderConn is a connection to the leader.
type leaderConn struct {
	calls *tls.Config

	mu      sync.Mutex
	address string
	open    *grpc.ClientConn
}

// conn returns the connection to an address. It closes the one to an earlier address, which
// ends its calls.
func (l *leaderConn) conn(address string) (*grpc.ClientConn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil && l.address == address {
		return l.open, nil
	}
	secured := insecure.NewCredentials()
	if strings.HasPrefix(address, "https:") {
		secured = credentials.NewTLS(l.calls)
	}
	host, port := endpoint(address)
	made, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10)), grpc.WithTransportCredentials(secured), grpc.WithUserAgent("rift"),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newEventCodec()), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, invalid("address of the leader %s: %v", address, err)
	}
	if l.open != nil {
		_ = l.open.Close() // its calls end, which is all there is to it
	}
	l.open, l.address = made, address
	return made, nil
}

func (l *leaderConn) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		_ = l.open.Close() // its calls end, which is all there is to it
		l.open = nil
	}
}

// outgoing returns the context of a forwarded call.
func outgoing(ctx context.Context) context.Context {
	pairs := metadata.Pairs(requiresLeader, "true")
	for _, key := range passedOn {
		pairs.Append(key, metadata.ValueFromIncomingContext(ctx, key)...)
	}
	return metadata.NewOutgoingContext(ctx, pairs)
}

// ask forwards a unary call.
func ask(ctx context.Context, conn *grpc.ClientConn, method string, request any) (any, error) {
	var answer any = &streams.DeleteResp{}
	if method == streams.Streams_Tombstone_FullMethodName {
		answer = &streams.TombstoneResp{}
	}
	var trailer metadata.MD
	err := conn.Invoke(outgoing(ctx), method, request, answer, grpc.Trailer(&trailer))
	return answer, passedBack(ctx, err, trailer)
}

// relay forwards a streaming call.
func relay(ctx context.Context, conn *grpc.ClientConn, stream grpc.ServerStream, info *grpc.StreamServerInfo) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	call, err := conn.NewStream(outgoing(ctx), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, info.FullMethod)
	if err != nil {
		if !info.IsServerStream {
			drain(stream)
		}
		return passedBack(ctx, err, nil)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		pass(ctx, stream, call, cancel)
		if !info.IsServerStream {
			drain(stream) // as for a call that is answered here
		}
	}()
	for {
		var message encoded
		if err = call.RecvMsg(&message); err != nil {
			break
		}
		if err = stream.SendMsg(message); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if !info.IsServerStream {
		<-sent
	}
	var refused *failure
	if errors.As(context.Cause(ctx), &refused) {
		return refused
	}
	return passedBack(ctx, err, call.Trailer())
}

// pass forwards the messages of a caller until either side ends.
func pass(ctx context.Context, stream grpc.ServerStream, call grpc.ClientStream, cancel context.CancelCauseFunc) {
	held, behind := reservationOf(ctx), int64(0)
	for {
		var message encoded
		err := stream.RecvMsg(&message)
		switch {
		case errors.Is(err, io.EOF):
			_ = call.CloseSend() // relay gets the error
			return
		case err != nil:
			cancel(err)
			return
		}
		more, err := held.beyond(len(message), 0)
		if err != nil {
			cancel(err)
			return
		}
		if call.SendMsg(message) != nil {
			return // relay gets the error
		}
		held.give(behind) // the message before has been sent by now
		behind = more
	}
}

// passedBack returns the error of a forwarded call, and sets the leader's trailers.
func passedBack(ctx context.Context, err error, trailer metadata.MD) error {
	if err == nil {
		return nil
	}
	told := metadata.MD{}
	for key, values := range trailer {
		if key != "content-type" && !strings.HasPrefix(key, "grpc-") {
			told[key] = values
		}
	}
	_ = grpc.SetTrailer(ctx, told) // fails only outside of a call
	if status.Code(err) == codes.Canceled && ctx.Err() == nil {
		return status.Error(codes.Unavailable, "the lead of the cluster changes; try again")
	}
	return err
}
