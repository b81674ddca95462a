package handlers

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/trace"
)

func TestTheStateMachineIsToldWhetherAServiceOrTheFunctionFailed(t *testing.T) {
	api := func(code string) error {
		return fmt.Errorf(
			"read a row: %w",
			&smithy.OperationError{
				ServiceID:     "DynamoDB",
				OperationName: "GetItem",
				Err:           &smithy.GenericAPIError{Code: code},
			},
		)
	}
	for _, err := range []error{
		api("ThrottlingException"), api("RequestLimitExceeded"), &types.ProvisionedThroughputExceededException{},
		errors.Join(errors.New("settle"), fmt.Errorf("claim: %w", table.ErrCapacity)),
	} {
		var told messages.InvokeResponse_Error
		require.ErrorAs(t, typed(err), &told, "%v", err)
		require.Equal(t, Unavailable, told.Type)
		require.Equal(t, err.Error(), told.Message)
	}
	for _, err := range []error{errors.New("a bug"), api("ValidationException"), api("AccessDeniedException"), nil} {
		require.Equal(t, err, typed(err))
	}
}

func TestATracingHeaderComesThroughEventBridge(t *testing.T) {
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	for given, want := range map[string]trace.Parent{
		header: "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
		"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0": trace.Unfollowed, "": "",
	} {
		m := events.SQSMessage{MessageId: "m", Body: `{"detail-type":"new_hits","detail":{},"time":"2026-03-01T12:00:00Z"}`,
			Attributes: map[string]string{"SentTimestamp": "1772366400000", "AWSTraceHeader": given}}
		require.Equal(t, want, entry(m).Trace)
	}
}
