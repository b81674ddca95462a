package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"tocsin/shared/delivery"
)

// Executions starts the retry state machine.
type Executions struct {
	SFN          *sfn.Client
	StateMachine string // ARN
}

var _ delivery.Executions = (*Executions)(nil)

// Start starts an execution of that name, unless there was one within 90 days (Step Functions, "StartExecution").
func (e *Executions) Start(ctx context.Context, name, batch string) error {
	input, err := json.Marshal(struct {
		Batch string `json:"batch"`
	}{batch})
	if err != nil {
		return fmt.Errorf("encode batch %s: %w", batch, err)
	}
	text := string(input)
	_, err = e.SFN.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &e.StateMachine, Name: &name, Input: &text})
	var exists *types.ExecutionAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("start execution %s: %w", name, err)
	}
	return nil
}
