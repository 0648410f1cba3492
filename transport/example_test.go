package transport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ringrift/rift/domain"
	"github.com/ringrift/rift/projections"
	"github.com/ringrift/rift/transport"
)

// rows is a process of which only the read models are used.
type rows struct{ transport.Backend }

func (rows) View(_ context.Context, _ transport.At, _ domain.Position, f func(projections.View) error) error {
	return f(emptyView{})
}

type emptyView struct{ projections.View }

func (emptyView) Position() domain.Position { return 42 }

type squareAsked struct {
	Side int `query:"side" required:"true"`
}

type squareAnswer struct {
	Area int `json:"area"`
}

func square(_ projections.View, q squareAsked) (squareAnswer, error) {
	if q.Side < 1 {
		return squareAnswer{}, domain.Errorf(domain.Invalid, "side: want at least 1, found %d", q.Side)
	}
	return squareAnswer{q.Side * q.Side}, nil
}

// A query and a path make one row of the table. The handler parses the parameters,
// runs the query on a view of the read models, and answers with its result or with
// a problem document.
func Example() {
	handler, err := transport.NewHandler(rows{}, transport.Config{}, transport.Area{Routes: []transport.Route{
		transport.Get("/square", "shapes.square", square, transport.About("the area of a square")),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, target := range []string{"/square?side=3", "/square?side=three", "/square"} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest("GET", target, nil))
		if answer.Code == http.StatusOK {
			fmt.Print(answer.Body)
			continue
		}
		var problem transport.Problem
		if err := json.Unmarshal(answer.Body.Bytes(), &problem); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(answer.Code, problem.Code, problem.Faults)
	}
	// Output:
	// {"position":42,"area":9}
	// 400 invalid [{side want a whole number, found "three"}]
	// 400 invalid [{side required}]
}
