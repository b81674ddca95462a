package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"tocsin/shared/destination"
)

// mailSize is the largest mail in its wire form, in bytes. SES, "Service quotas": 40 MB after base64.
const mailSize = 40 << 20

// Composer writes a mail in its wire form (RFC 5322).
type Composer interface {
	Raw(m destination.Mail) ([]byte, error)
}

// Mailer sends mails by SES, each to one person.
type Mailer struct {
	SES      *sesv2.Client
	From     string // an address of the identity
	Composer Composer
	// ConfigurationSet is that of the stack, which reports bounces and complaints; "" = none.
	ConfigurationSet string
}

// Send sends a mail. The error is a sentence for an administrator.
func (m *Mailer) Send(ctx context.Context, mail destination.Mail) error {
	raw, err := m.Composer.Raw(mail)
	if err != nil {
		return err
	}
	if len(raw) > mailSize {
		return fmt.Errorf("the mail for %s has %d MB, and 40 MB is the most", mail.To, len(raw)>>20)
	}
	in := &sesv2.SendEmailInput{
		FromEmailAddress: &m.From, Destination: &types.Destination{ToAddresses: []string{mail.To}},
		Content: &types.EmailContent{Raw: &types.RawMessage{Data: raw}},
	}
	if m.ConfigurationSet != "" {
		in.ConfigurationSetName = &m.ConfigurationSet
	}
	if _, err := m.SES.SendEmail(ctx, in); err != nil {
		return explain(err, mail.To)
	}
	return nil
}

// explain tells an administrator what SES means (API reference, "SendEmail", errors).
func explain(err error, to string) error {
	var throttled *types.TooManyRequestsException
	var limit *types.LimitExceededException
	var suspended *types.AccountSuspendedException
	var paused *types.SendingPausedException
	var domain *types.MailFromDomainNotVerifiedException
	var rejected *types.MessageRejected
	var api smithy.APIError
	switch {
	case errors.As(err, &throttled), errors.As(err, &limit):
		return fmt.Errorf("the mail service put off a mail for %s: the platform's sending rate or daily quota is used up: %w", to, err)
	case errors.As(err, &suspended), errors.As(err, &paused), errors.As(err, &domain):
		return fmt.Errorf("the platform may not send mail at the moment: ask its operators: %w", err)
	case errors.As(err, &rejected):
		return fmt.Errorf("the mail service refused a mail for %s: %s", to, rejected.ErrorMessage())
	case errors.As(err, &api):
		return fmt.Errorf("the mail service answered %s to a mail for %s: %s", api.ErrorCode(), to, api.ErrorMessage())
	default:
		return fmt.Errorf("the mail service could not be used: %w", err)
	}
}
