package swim

// examples are payloads of the events, one each.
var examples = map[string]string{
	"SWIM_MEMBER_CHANGED": `{"member":"box-2","from":"alive","to":"suspect","incarnation":3,"observer":"box-1"}`,
}
