// Package stepfunctions starts executions of the retry state machine.
package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"tocsin/shared/worker"
)

// RetryStarter starts the retry state machine.
type RetryStarter struct {
	SFN          *sfn.Client
	StateMachine string // ARN
}

var _ worker.RetryStarter = (*RetryStarter)(nil)

// Start starts an execution, unless there was one of that name within 90 days (Step Functions, "StartExecution").
func (e *RetryStarter) Start(ctx context.Context, first worker.Round) error {
	input, err := json.Marshal(first)
	if err != nil {
		return fmt.Errorf("encode the first round of batch %s: %w", first.Batch, err)
	}
	text := string(input)
	_, err = e.SFN.StartExecution(
		ctx,
		&sfn.StartExecutionInput{StateMachineArn: &e.StateMachine, Name: &first.Execution, Input: &text},
	)
	var exists *types.ExecutionAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("start execution %s: %w", first.Execution, err)
	}
	return nil
}

// Running reports whether the execution is at work. What ended more than 90 days ago is not known any more.
func (e *RetryStarter) Running(ctx context.Context, name string) (bool, error) {
	arn := strings.Replace(e.StateMachine, ":stateMachine:", ":execution:", 1) + ":" + name
	out, err := e.SFN.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	var none *types.ExecutionDoesNotExist
	switch {
	case errors.As(err, &none):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for execution %s: %w", name, err)
	}
	return out.Status == types.ExecutionStatusRunning, nil
}
