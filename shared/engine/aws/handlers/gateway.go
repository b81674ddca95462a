package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdaurl"

	"tocsin/shared/engine/aws/metrics"
)

// API serves an http.Handler behind an HTTP API (payload format 2.0). The way in is that of function URLs, which
// have the same format; the answer is gathered, because an HTTP API takes no stream.
func API(h http.Handler) func(context.Context, json.RawMessage) (events.APIGatewayV2HTTPResponse, error) {
	serve := lambdaurl.Wrap(h)
	return func(ctx context.Context, raw json.RawMessage) (events.APIGatewayV2HTTPResponse, error) {
		var request events.LambdaFunctionURLRequest
		var gateway struct {
			RequestContext struct {
				Stage string `json:"stage"`
			} `json:"requestContext"`
		}
		if err := json.Unmarshal(raw, &request); err != nil {
			return events.APIGatewayV2HTTPResponse{}, fmt.Errorf("read the request: %w", err)
		}
		if err := json.Unmarshal(raw, &gateway); err != nil {
			return events.APIGatewayV2HTTPResponse{}, fmt.Errorf("read the request's context: %w", err)
		}
		// A named stage stands in front of the path.
		if stage := gateway.RequestContext.Stage; stage != "" && stage != "$default" {
			request.RawPath = strings.TrimPrefix(request.RawPath, "/"+stage)
		}
		if len(request.Cookies) > 0 && request.Headers != nil {
			request.Headers["cookie"] = strings.Join(request.Cookies, "; ")
		}
		answer, err := serve(ctx, &request)
		if err != nil {
			return events.APIGatewayV2HTTPResponse{},
				fmt.Errorf("serve %s %s: %w", request.RequestContext.HTTP.Method, request.RawPath, err)
		}
		if answer.StatusCode >= http.StatusInternalServerError {
			metrics.Count(ctx, metrics.FailedItems, 1) // for Lambda the call is a success
		}
		return buffered(answer)
	}
}

func buffered(answer *events.LambdaFunctionURLStreamingResponse) (events.APIGatewayV2HTTPResponse, error) {
	out := events.APIGatewayV2HTTPResponse{StatusCode: answer.StatusCode, Headers: answer.Headers,
		Cookies: answer.Cookies}
	var body bytes.Buffer
	if _, err := io.Copy(&body, answer.Body); err != nil {
		return out, fmt.Errorf("read the answer: %w", err)
	}
	if out.Body = body.String(); !utf8.ValidString(out.Body) {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(body.Bytes()), true
	}
	return out, nil
}
