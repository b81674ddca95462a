// Command erase removes tenants that leave, in parts: a schedule has it take up what operators asked the API for.
package main

import (
	"context"
	"encoding/json"
	"time"

	"tocsin/functions/stack"
	"tocsin/shared/engine/aws/metrics"
)

// budget leaves the longest part its time before the function's timeout of 300 s.
const budget = 3 * time.Minute

// answer is what a call did.
type answer struct {
	Erasures int `json:"erasures"` // worked at
}

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[json.RawMessage, answer] {
	service := s.Erasing()
	return metrics.Of(s.Meter("erase"), func(ctx context.Context, _ json.RawMessage) (answer, error) {
		worked, err := service.Work(ctx, time.Now().Add(budget))
		return answer{worked}, err
	})
}
