package transport_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	workcmd "github.com/ringrift/rift/commands/work"
	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/transport"
)

// everything has a field of each kind that bodies and answers are made of.
type everything struct {
	Text     string            `json:"text"`
	Name     domain.TaskID     `json:"name,omitempty"`
	Int      int               `json:"int"`
	Small    int8              `json:"small"`
	Natural  uint64            `json:"natural"`
	Float    float64           `json:"float"`
	Yes      bool              `json:"yes"`
	When     time.Time         `json:"when"`
	Maybe    *int              `json:"maybe"`
	Raw      json.RawMessage   `json:"raw"`
	List     []string          `json:"list"`
	Numbers  []float64         `json:"numbers,omitempty"`
	Pair     [2]int            `json:"pair"`
	Map      map[string]int    `json:"map"`
	Inner    inner             `json:"inner"`
	Inners   []inner           `json:"inners"`
	ID       domain.EventID    `json:"id"`
	Wait     domain.Seconds    `json:"wait"`
	Any      any               `json:"any"`
	Bytes    []byte            `json:"bytes"`
	Nothing  string            `json:"-"`
	Zero     time.Time         `json:"zero,omitzero"`
	Rows     []json.RawMessage `json:"rows"`
	Embedded                   // its keys stand beside the others
}

// Embedded is a struct inside another without a key.
type Embedded struct {
	Beside string `json:"beside"`
}

type inner struct {
	A    int    `json:"a"`
	Next *inner `json:"next,omitempty"`
}

func (everything) CommandType() string { return "test.everything" }

func example() everything {
	seven := 7
	return everything{
		Text: "a\"b\\c\n\u2028 é \x01 <&>", Name: "t1", Int: -3, Small: 100, Natural: 1 << 63, Float: 0.1, Yes: true,
		When: epoch, Maybe: &seven, Raw: json.RawMessage(`{"b":1.50,"a":[]}`), List: []string{"x"}, Numbers: []float64{1e21, 1e-7, 3},
		Pair: [2]int{1, 2}, Map: map[string]int{"z": 1, "a": 2}, Inner: inner{A: 1, Next: &inner{A: 2}}, Inners: []inner{{A: 3}},
		ID: domain.DeriveID("x", 1), Wait: 2.5, Any: map[string]any{"k": []any{1.0, nil, "s"}}, Bytes: []byte{1, 2, 3},
		Rows: []json.RawMessage{[]byte(`1`), []byte(`{"r":2}`)}, Embedded: Embedded{Beside: "here"},
	}
}

// standard is what encoding/json writes with the three differences that
// appendJSON has by intention taken out.
func standard(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestAnswersAreWrittenAsTheStandardLibraryWould(t *testing.T) {
	v := example()
	for name, value := range map[string]any{
		"everything": v, "pointer": &v, "health": transport.Health{Status: transport.StateOK, Started: epoch, Checks: []transport.Check{{Name: "log", Numbers: map[string]int64{"b": 1, "a": 2}}}},
		"problem": transport.ProblemOf(domain.Errorf(domain.Invalid, "x")), "a string": "x", "a number": 1.5, "nil": nil, "a list": []any{1, "a", nil},
		"claimed": workcmd.TasksClaimed{Items: []workcmd.ClaimedTask{{TaskID: "t", Payload: json.RawMessage(`{}`), Deadline: epoch}}},
	} {
		got, err := transport.AppendJSON(nil, value)
		if err != nil {
			t.Fatal(err)
		}
		if want := standard(t, value); string(got) != want {
			t.Errorf("%s:\nwant  %s\nfound %s", name, want, got)
		}
	}
	got, err := transport.AppendJSON(nil, struct {
		List []int          `json:"list"`
		Map  map[string]int `json:"map"`
		Raw  json.RawMessage
	}{Raw: json.RawMessage("{ \"as\":\t\"it is\" }")})
	if want := "{\"list\":[],\"map\":{},\"Raw\":{ \"as\":\t\"it is\" }}"; err != nil || string(got) != want {
		t.Errorf("want %s, found %s %v", want, got, err)
	}
	if _, err := transport.AppendJSON(nil, func() {}); err == nil {
		t.Error("a function: want an error")
	}
}

func TestMembersJoinAnObject(t *testing.T) {
	for _, c := range []struct {
		answer any
		want   string
	}{
		{nil, `{"p":1}`},
		{struct{}{}, `{"p":1}`},
		{inner{A: 2}, `{"p":1,"a":2}`},
		{&inner{A: 2}, `{"p":1,"a":2}`},
		{json.RawMessage(`{"x":1}`), `{"p":1,"x":1}`},
		{json.RawMessage(`{}`), `{"p":1}`},
		{map[string]int{"m": 3}, `{"p":1,"m":3}`},
		{struct {
			P int `json:"p"`
			Q int `json:"q"`
		}{5, 6}, `{"p":1,"q":6}`},
	} {
		got, err := transport.AppendMembers([]byte(`{"p":1`), c.answer, true, "p")
		if got = append(got, '}'); err != nil || string(got) != c.want {
			t.Errorf("%T: want %s, found %s %v", c.answer, c.want, got, err)
		}
	}
	if _, err := transport.AppendMembers(nil, []int{1}, false, ""); err == nil {
		t.Error("a list has no members: want an error")
	}
}

func TestBodiesAreDecodedAsTheStandardLibraryWould(t *testing.T) {
	body := standard(t, example())
	var got everything
	if err := transport.DecodeBody([]byte(body), transport.ShapeOf(reflect.TypeFor[everything]()), &got); err != nil {
		t.Fatal(err)
	}
	var reference everything
	if err := json.Unmarshal([]byte(body), &reference); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, reference) {
		t.Errorf("want %+v, found %+v", reference, got)
	}
}

func TestParametersOfEachKind(t *testing.T) {
	type question struct {
		Text    string          `query:"text"`
		N       int             `query:"n" default:"7"`
		After   domain.Position `query:"pos"`
		F       float64         `query:"f"`
		Yes     bool            `query:"yes"`
		When    time.Time       `query:"when"`
		Names   []domain.TaskID `query:"names"`
		ID      domain.EventID  `query:"id"`
		Key     string          `json:"key"`
		Must    string          `query:"must" required:"true"`
		Ignored time.Time       `query:"-"`
	}
	p, err := transport.ParamsOf(reflect.TypeFor[question]())
	if err != nil {
		t.Fatal(err)
	}
	bind := func(raw string) (question, []domain.Fault) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		var q question
		return q, p.Bind(httptest.NewRequest("GET", "/", nil), values, reflect.ValueOf(&q).Elem())
	}
	full := question{"a b&c", 3, 9, 0.25, true, epoch, []domain.TaskID{"x", "y"}, domain.DeriveID("z", 0), "k", "m", time.Time{}}
	_, values, err := p.Fill("/", reflect.ValueOf(full))
	if err != nil {
		t.Fatal(err)
	}
	var back question
	if faults := p.Bind(httptest.NewRequest("GET", "/", nil), values, reflect.ValueOf(&back).Elem()); len(faults) > 0 || !reflect.DeepEqual(back, full) {
		t.Errorf("what the client writes, the server reads: want %+v, found %+v %v", full, back, faults)
	}
	for raw, fields := range map[string]string{
		"must=1": "", "": "must", "must=1&n=x": "n", "must=1&pos=-1": "pos", "must=1&f=x": "f", "must=1&yes=maybe": "yes", "must=1&when=now": "when",
		"must=1&id=x": "id", "must=1&Ignored=1": "Ignored", "must=1&text=%ff": "text", "must=1&text=" + strings.Repeat("a", 5000): "text",
		"n=x&f=y&zz=1": "n f must zz",
	} {
		_, faults := bind(raw)
		var names []string
		for _, fault := range faults {
			names = append(names, fault.Field)
		}
		if got := strings.Join(names, " "); got != fields {
			t.Errorf("%.40s: want faults of [%s], found [%s]", raw, fields, got)
		}
	}
}

// FuzzBinding throws bodies at every command of the table: nothing may panic,
// and what is taken must be strict JSON that the standard library reads alike.
func FuzzBinding(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"task_id":"t1","task_type":"x","priority":3,"payload":{"a":[1,2.5e3,"\u00e9",null,true]},"depends_on":["a"],"timeout_seconds":1e2}`,
		`{"node_id":"n","level":{"gpu_percent":1}}`, `{"task_id":"t","lease":18446744073709551615,"result":null}`, `{"type":"A","payload":{},"expected_revision":-1}`,
		`{"a":1}{`, `[`, `"`, `{"task_type":"\ud800"}`, `{"\u0074ask_type":"x"}`, `{"text":"x","inner":{"a":1,"next":{"a":2}},"pair":[1,2]}`, " {\t} ",
		`{"float":1e400}`, `{"small":200}`, `{"int":-0}`, `{"bytes":"AQID"}`, `{"bytes":"!"}`, `{"id":"x"}`, `{"when":"2026-01-02T03:04:05Z"}`, "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(body))
	}
	var rows []transport.Route
	for _, route := range routes() {
		if route.Kind == transport.Command {
			rows = append(rows, route)
		}
	}
	rows = append(rows, transport.Post[everything]("/everything"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for i := range rows {
			input, err := rows[i].Decode(body)
			if err != nil {
				if domain.CodeOf(err) != domain.Invalid {
					t.Fatalf("%s: want invalid, found %v", rows[i].Name, err)
				}
				continue
			}
			if !json.Valid(body) {
				t.Fatalf("%s: took what is no JSON: %q", rows[i].Name, body)
			}
			reference := rows[i].NewInput()
			decoder := json.NewDecoder(bytes.NewReader(body))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(reference); err != nil {
				t.Fatalf("%s: took %q, which the standard library refuses: %v", rows[i].Name, body, err)
			}
			if want := rows[i].Value(reference); !reflect.DeepEqual(input, want) {
				t.Fatalf("%s: %q: want %+v, found %+v", rows[i].Name, body, want, input)
			}
		}
	})
}

// FuzzStrings writes any string as the standard library does.
func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t", "\x00\x1f\x7f", "é\u2028\u2029", "\xff\xc3", "<>&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(transport.AppendString(nil, s)), standard(t, s); got != want {
			t.Fatalf("%q: want %s, found %s", s, want, got)
		}
	})
}

// FuzzQueries throws query strings at every query of the table.
func FuzzQueries(f *testing.F) {
	_, h := server(f, transport.Config{})
	for _, query := range []string{"", "at=1&after=0", "limit=3&where=true", "where=data.a%20%3E%201", "from=18446744073709551615&order=desc", "%zz", "a=b=c&&;", "limit=-1", "at=2026-01-02T03:04:05Z", "where=any(1..3,%20true)"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for i := range h.Rows() {
			if h.Rows()[i].Kind != transport.Question && h.Rows()[i].Kind != transport.Report {
				continue
			}
			r := httptest.NewRequest("GET", strings.NewReplacer("{id}", "1", "{name}", "default").Replace(h.Rows()[i].Path), nil)
			r.URL.RawQuery = query
			if strings.Contains(query, "after=") {
				continue // it may wait for what never comes
			}
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code >= 500 {
				t.Fatalf("%s?%s: %d %s", r.URL.Path, query, w.Code, w.Body)
			}
		}
	})
}

func TestABodyWithoutALengthIsBoundedToo(t *testing.T) {
	_, h := server(t, transport.Config{MaxBody: 1000})
	for size, want := range map[int]int{900: 200, 1200: 413} {
		body := `{"task_type":"x","payload":"` + strings.Repeat("a", size-30) + `"}`
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/work/add", struct{ io.Reader }{strings.NewReader(body)})
		if r.ContentLength != -1 {
			t.Fatalf("want a request of unknown length, found %d", r.ContentLength)
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%d bytes: want %d, found %d %s", size, want, w.Code, w.Body)
		}
	}
}
