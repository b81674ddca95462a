package handlers

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/table"
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
