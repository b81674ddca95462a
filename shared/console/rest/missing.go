package rest

import (
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/cut"
	"tocsin/shared/plaintext"
)

// Missing is the problem that there is no such object. named has %s for its id, which the path's parameter holds.
func Missing(detail, named, parameter string) *Problem {
	p := NewProblem(http.StatusNotFound, detail)
	p.words, p.parameter = named, parameter
	return p
}

// mostID is how many letters of an id are told: ours have far fewer.
const mostID = 64

// name names what is not there, by the call's path, and a call that failed.
func (p *Problem) name(c huma.Context) *Problem {
	if p.parameter == "" {
		return p.of(Principal(c.Context()).RequestID)
	}
	id := cut.Runes(plaintext.Line(c.Param(p.parameter)), mostID)
	if id == "" {
		return p
	}
	out := *p
	out.Detail = fmt.Sprintf(p.words, id)
	return &out
}
