package relay

import (
	"slices"
	"strings"

	"github.com/ringrift/rift/domain"
)

// Hops is the header that names the hubs which a call came through, in order.
const Hops = "Rift-Via"

// MaxHops bounds the hubs on the way of one call.
const MaxHops = 4

// Through gives the Hops header of a call that goes through one more hub. A call
// that was at that hub before, or at too many, is refused.
func Through(hops string, hub domain.NodeID) (string, error) {
	if hops == "" {
		return string(hub), nil
	}
	var seen []string
	for one := range strings.SplitSeq(hops, ",") {
		seen = append(seen, strings.TrimSpace(one))
		if len(seen) > MaxHops {
			break
		}
	}
	switch {
	case slices.Contains(seen, string(hub)):
		return "", domain.Errorf(domain.Conflict, "%s: the call came through this hub before, by %s; it goes in a circle", Hops, domain.Clip(hops, 256))
	case len(seen) >= MaxHops:
		return "", domain.Errorf(domain.Conflict, "%s: want at most %d hubs on the way of a call, found %s", Hops, MaxHops, domain.Clip(hops, 256))
	}
	return strings.Join(append(seen, string(hub)), ","), nil
}
