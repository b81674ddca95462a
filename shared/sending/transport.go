package sending

import (
	"context"

	"tocsin/shared/destination"
)

// Transport sends one request and returns the answer. An error means that there was none; its text is a sentence for
// an administrator and holds no secret. A cancelled context returns the context's error.
type Transport interface {
	Do(ctx context.Context, r destination.Request) (destination.Response, error)
}
