package console

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/version"
)

type versionOutput struct{ Body version.Info }

// version registers the operation that says which release answers: for support, and for whoever rolls a release out. It
// is for every role, and for nobody without a token: what is old is not told to strangers.
func (s *server) version(api huma.API) {
	read := version.Read()
	rest.Register(api, rest.Operation(access.SignIn, huma.Operation{
		OperationID: "get-version", Method: http.MethodGet, Path: "/v1/version", Tags: []string{"Session"},
		Summary: "Read which release this is", Description: "The release, the commit that it was built from, and the " +
			"Go that built it. For every role.",
	}), func(context.Context, *struct{}) (*versionOutput, error) { return &versionOutput{read}, nil })
}
