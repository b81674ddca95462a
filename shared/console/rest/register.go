package rest

import (
	"context"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// answer is what an operation whose answer is a body alone tells huma.
type answer struct{ Body any }

// Register registers an operation whose answer has no header of its own: O is a struct with nothing but a Body. It does
// what huma.Register does, which is compiled for each pair of an input and an output, 20 KB each time. This is compiled
// for each input.
func Register[I, O any](api huma.API, o huma.Operation, do func(context.Context, *I) (*O, error)) {
	answers(api, &o, reflect.TypeFor[O]())
	huma.Register(api, o, func(ctx context.Context, in *I) (*answer, error) {
		out, err := do(ctx, in)
		if err != nil || out == nil {
			return nil, err
		}
		return &answer{reflect.ValueOf(out).Elem().Field(0).Interface()}, nil
	})
}

// answers documents the body of an operation's answer, as huma names it.
func answers(api huma.API, o *huma.Operation, output reflect.Type) {
	if output.NumField() != 1 || output.Field(0).Name != "Body" || output.Field(0).Type.Kind() == reflect.Func {
		panic(o.OperationID + ": its answer is not a body alone: use huma.Register")
	}
	name := output.Name() + "Body"
	if output.Name() == "" {
		name = o.OperationID + "Response"
	}
	if o.Responses == nil {
		o.Responses = map[string]*huma.Response{}
	}
	status := o.DefaultStatus
	if status == 0 {
		status = http.StatusOK
	}
	told := o.Responses[strconv.Itoa(status)]
	if told == nil {
		told = &huma.Response{}
		o.Responses[strconv.Itoa(status)] = told
	}
	told.Content = map[string]*huma.MediaType{"application/json": {
		Schema: huma.SchemaFromField(api.OpenAPI().Components.Schemas, output.Field(0), name),
	}}
}
