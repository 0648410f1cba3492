package transport

import (
	"context"
	"net/http"

	"github.com/ringrift/rift/domain"
)

// InstanceOf returns which data folder the node at an address, a URL or
// host:port, serves: the Instance of its Config. It sends no token, because
// until the answer arrives it is not known who listens at that address. The
// error is Unreachable where no node of rift answers.
func InstanceOf(ctx context.Context, address string) (string, error) {
	c, err := NewClient(address, nil)
	if err != nil {
		return "", err
	}
	request, err := c.request(ctx, http.MethodGet, "/healthz", nil, http.Header{}, nil)
	if err != nil {
		return "", err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", unreachable(ctx, err)
	}
	if err := response.Body.Close(); err != nil {
		return "", unreachable(ctx, err)
	}
	instance := response.Header.Get(headerInstance)
	if response.StatusCode != http.StatusOK || instance == "" {
		return "", NoAnswer("want a node of rift that says which folder it serves, found status %d", response.StatusCode)
	}
	if len(instance) > maxInstance {
		return "", domain.Errorf(domain.TooLarge, "instance: want at most %d bytes, found %d", maxInstance, len(instance))
	}
	return instance, nil
}

const maxInstance = 256
