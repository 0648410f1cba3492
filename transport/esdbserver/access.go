package esdbserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/eventlog/foreign"
)

// The groups with a meaning in EventStoreDB.
const (
	groupAdmins = "$admins"
	groupOps    = "$ops"
	roleAll     = "$all" // in an access list: every account
)

// caller is the caller of a call; without a login it is anonymous.
type caller struct {
	login  string
	groups []string
	whole  bool // it may do everything, because the server is insecure
}

func (c *caller) in(group string) bool { return c.whole || slices.Contains(c.groups, group) }

// account is an Account with a digest instead of the password.
type account struct {
	caller
	digest [sha256.Size]byte // of login and password
}

func credential(login, password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(login + "\x00" + password))
}

func accountsOf(given []Account) []account {
	var accounts []account
	for _, a := range given {
		accounts = append(accounts, account{caller{login: a.Login, groups: a.Groups}, credential(a.Login, a.Password)})
	}
	return accounts
}

type callerKey struct{}

// callerOf returns the caller of a call.
func callerOf(ctx context.Context) *caller {
	if c, known := ctx.Value(callerKey{}).(*caller); known {
		return c
	}
	return &caller{}
}

// authenticated adds the caller to the context of a call: the account of the login and
// password in its header, else the account that the certificate of its connection names.
func (s *Server) authenticated(ctx context.Context) (context.Context, error) {
	who := &caller{whole: s.config.Insecure}
	shown := metadata.ValueFromIncomingContext(ctx, "authorization")
	if !s.config.Insecure && len(shown) > 0 {
		if who = s.accountWith(shown[0]); who == nil {
			return ctx, errUnauthenticated("want login and password of an account")
		}
	} else if login, certificate := certified(ctx); certificate && !s.config.Insecure {
		if who = s.accountOf(login); who == nil {
			return ctx, errUnauthenticated("want a certificate whose common name is the login of an account")
		}
	}
	return context.WithValue(ctx, callerKey{}, who), nil
}

// accountWith returns the account of an authorization header; nil: there is none. It
// compares with every account, so that the time it takes reveals nothing about accounts.
func (s *Server) accountWith(header string) (who *caller) {
	scheme, text, _ := strings.Cut(header, " ")
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	login, password, whole := strings.Cut(string(plain), ":")
	digest := credential(login, password)
	for i := range s.accounts {
		if subtle.ConstantTimeCompare(digest[:], s.accounts[i].digest[:]) == 1 {
			who = &s.accounts[i].caller
		}
	}
	if err != nil || !whole || !strings.EqualFold(scheme, "basic") {
		return nil
	}
	return who
}

func (s *Server) accountOf(login string) *caller {
	for i := range s.accounts {
		if s.accounts[i].login == login {
			return &s.accounts[i].caller
		}
	}
	return nil
}

// right is a right to a stream, as the key of an access list.
type right string

const (
	toRead      right = "$r"
	toWrite     right = "$w"
	toDelete    right = "$d"
	toReadMeta  right = "$mr"
	toWriteMeta right = "$mw"
)

// acl lists the roles that have each right. A right that it lacks is decided by the next
// list.
type acl map[right][]string

// parseACL parses an access list: for each right one role or a list of roles. It ignores
// anything else.
func parseACL(raw json.RawMessage) acl {
	var fields map[right]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	list := acl{}
	for key, value := range fields {
		var one string
		var many []string
		switch {
		case json.Unmarshal(value, &one) == nil:
			list[key] = []string{one}
		case json.Unmarshal(value, &many) == nil && many != nil:
			list[key] = many
		}
	}
	return list
}

// The stream with the access lists for streams without their own, and its keys.
const (
	settingsStream   = "$settings"
	userStreamKey    = "$userStreamAcl"
	systemStreamsKey = "$systemStreamAcl"
)

// rolesFor returns the roles that have a right to a stream: by the stream's metadata, by
// the settings, or by EventStoreDB's defaults.
func (s *Server) rolesFor(ctx context.Context, name string, what right) ([]string, error) {
	meta, err := s.metaOf(ctx, name)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(meta.raw, &fields) == nil {
		if roles, given := parseACL(fields["$acl"])[what]; given {
			return roles, nil
		}
	}
	if isIndex(name) && what == toRead {
		return []string{roleAll}, nil
	}
	id, err := foreign.StreamID(settingsStream)
	if err != nil {
		return nil, err
	}
	last, found, err := s.lastEvent(ctx, id)
	if err != nil {
		return nil, err
	}
	key, roles := userStreamKey, []string{roleAll}
	if isSystem(name) {
		key, roles = systemStreamsKey, []string{groupAdmins}
	}
	var settings map[string]json.RawMessage
	if found && json.Unmarshal(foreign.Of(&last).Data, &settings) == nil {
		if given, has := parseACL(settings[key])[what]; has {
			roles = given
		}
	}
	return roles, nil
}

// allowed returns an error unless the caller has a right to a stream.
func (s *Server) allowed(ctx context.Context, name string, what right) error {
	who := callerOf(ctx)
	if who.in(groupAdmins) {
		return nil
	}
	if isMeta(name) {
		name = original(name)
		switch what {
		case toRead:
			what = toReadMeta
		default:
			what = toWriteMeta
		}
	}
	if who.login != "" {
		roles, err := s.rolesFor(ctx, name, what)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(roles, func(role string) bool { return role == roleAll || role == who.login || who.in(role) }) {
			return nil
		}
	}
	return errAccessDenied(who.name() + " may not do that with " + name)
}

func (c *caller) name() string {
	if c.login == "" {
		return "anonymous"
	}
	return c.login
}

// operates returns an error unless the caller may operate the node.
func operates(ctx context.Context) error {
	if who := callerOf(ctx); !who.in(groupAdmins) && !who.in(groupOps) {
		return errAccessDenied(who.name() + " is neither of " + groupAdmins + " nor of " + groupOps)
	}
	return nil
}

// known returns an error for callers without an account.
func known(ctx context.Context) error {
	if who := callerOf(ctx); who.login == "" && !who.whole {
		return errAccessDenied("want an account")
	}
	return nil
}

// Account is a login for a server that is not insecure.
type Account struct {
	Login    string
	Password string
	Groups   []string // $admins may do everything, $ops operate persistent subscriptions
}

// DefaultAccounts returns the default accounts of EventStoreDB, whose passwords are public.
func DefaultAccounts() []Account {
	return []Account{{"admin", "changeit", []string{groupAdmins}}, {"ops", "changeit", []string{groupOps}}}
}

// maxAccounts bounds the accounts, with each of which every call is compared.
const maxAccounts = 1024

// ReadAccounts parses accounts, one per line: login, password, and groups. Empty lines and
// lines that begin with # are ignored. Its error names every fault.
func ReadAccounts(text string) ([]Account, error) {
	var accounts []Account
	var faults []domain.Fault
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		fault := func(reason string) {
			faults = append(faults, domain.Fault{Field: "line " + domain.Position(i+1).String(), Reason: reason})
		}
		switch {
		case len(words) < 2:
			fault("want a login and a password, found one word")
			continue
		case strings.Contains(words[0], ":"):
			fault("want a login without a colon")
		case len(words[1]) < 8:
			fault("want a password of at least 8 characters")
		case slices.ContainsFunc(accounts, func(a Account) bool { return a.Login == words[0] }):
			fault("want each login once, found " + words[0] + " again")
		}
		accounts = append(accounts, Account{words[0], words[1], words[2:]})
	}
	if len(faults) == 0 && (len(accounts) == 0 || len(accounts) > maxAccounts) {
		faults = append(faults, domain.Fault{Field: "lines", Reason: "want 1 to 1024 accounts, found " + domain.Position(len(accounts)).String()})
	}
	return accounts, domain.Faulty("accounts", faults)
}
