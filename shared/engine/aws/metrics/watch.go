package metrics

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithymiddleware "github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// services have a metric of their own for what they put off, by the name that the SDK has for them.
var services = map[string]Metric{
	"DynamoDB": "ThrottledDynamoDB", "SQS": "ThrottledSQS", "SFN": "ThrottledStepFunctions", "KMS": "ThrottledKMS",
	"EventBridge": "ThrottledEventBridge", "SESv2": "ThrottledSES", "Secrets Manager": "ThrottledSecretsManager",
	"STS": "ThrottledSTS",
}

// Watch has the SDK's clients count every attempt that a service puts off or fails, in the call that the context
// belongs to. It is for the APIOptions of a configuration.
func Watch(stack *smithymiddleware.Stack) error {
	return stack.Finalize.Insert(smithymiddleware.FinalizeMiddlewareFunc("TocsinMetrics", count), "Retry",
		smithymiddleware.After)
}

func count(ctx context.Context, in smithymiddleware.FinalizeInput, next smithymiddleware.FinalizeHandler) (
	smithymiddleware.FinalizeOutput, smithymiddleware.Metadata, error,
) {
	out, metadata, err := next.HandleFinalize(ctx, in)
	switch {
	case throttled(err) || partly(out.Result):
		Count(ctx, Throttled, 1)
		if m, ok := services[middleware.GetServiceID(ctx)]; ok {
			Count(ctx, m, 1)
		}
	case failed(err):
		Count(ctx, ServerErrors, 1)
	}
	return out, metadata, err
}

// throttled reports whether a service put a call off, as the SDK's own list of codes has it.
func throttled(err error) bool {
	var cancelled *dynamotypes.TransactionCanceledException
	if errors.As(err, &cancelled) {
		return slices.ContainsFunc(cancelled.CancellationReasons, func(r dynamotypes.CancellationReason) bool {
			return puttingOff(awssdk.ToString(r.Code))
		})
	}
	var answer smithy.APIError
	return errors.As(err, &answer) && puttingOff(answer.ErrorCode())
}

// puttingOff reports whether a code says that a service puts off. In a transaction and in a batch of statements the
// codes have other names than alone (DynamoDB, API reference, "CancellationReason", "BatchStatementError").
func puttingOff(code string) bool {
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return true
	}
	return strings.HasPrefix(code, "Throttling") || strings.HasPrefix(code, "ProvisionedThroughputExceeded") ||
		code == "RequestLimitExceeded" || code == "OverLimit"
}

// partly reports whether a service did a part of a call only: that is no error of the call.
func partly(result any) bool {
	switch out := result.(type) {
	case *dynamodb.BatchGetItemOutput:
		return len(out.UnprocessedKeys) > 0
	case *dynamodb.BatchWriteItemOutput:
		return len(out.UnprocessedItems) > 0
	case *dynamodb.BatchExecuteStatementOutput:
		for _, r := range out.Responses {
			if r.Error != nil && puttingOff(string(r.Error.Code)) {
				return true
			}
		}
	case *sqs.SendMessageBatchOutput:
		for _, f := range out.Failed {
			if !f.SenderFault {
				return true
			}
		}
	}
	return false
}

// failed reports whether a service answered that the fault is its own.
func failed(err error) bool {
	var answer *smithyhttp.ResponseError
	return errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError
}
