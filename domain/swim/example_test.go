package swim_test

import (
	"fmt"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/domain/swim"
)

// The one event of the failure detector is read back, and a state that there is
// not is a named fault.
func Example() {
	catalog, err := domain.NewCatalog(domain.StandardCodec{}, swim.Events())
	if err != nil {
		fmt.Println(err)
		return
	}
	event, err := catalog.Decode("SWIM_MEMBER_CHANGED", 1, []byte(`{"member":"gpu-3","from":"alive","to":"suspect","incarnation":2,"observer":"gpu-1"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	changed := event.(swim.MemberChanged)
	fmt.Println(changed.Observer, "sees", changed.Member, "go from", changed.From, "to", changed.To)
	changed.To = "asleep"
	fmt.Println(changed.Validate())
	// Output:
	// gpu-1 sees gpu-3 go from alive to suspect
	// [{to want one of [alive suspect dead left], found "asleep"}]
}
