package mail_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/mail"
	"tocsin/shared/step"
)

func TestTheStepsOfAMailAreTold(t *testing.T) {
	c := listen(t, nil).client(t, mail.Sessions{})
	for _, want := range [][]step.Kind{{step.Connected, step.Sent}, {step.Reused, step.Sent}} {
		var mu sync.Mutex
		var told []step.Kind
		ctx := step.With(t.Context(), func(s step.Step) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, s.Kind)
		})
		_, err := c.Send(ctx, destination.Mail{To: "ada@example.com", Subject: "S", Text: "T"})
		require.NoError(t, err)
		require.Equal(t, want, told)
	}
}
