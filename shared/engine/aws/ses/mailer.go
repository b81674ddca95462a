// Package ses sends mails by Amazon SES.
package ses

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
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
	From     string // an address of the identity, as Composer.From writes it
	Composer Composer
	// ConfigurationSet is that of the stack, which reports bounces and complaints; "" = none.
	ConfigurationSet string
}

// Send sends a mail. What SES says is an answer in the codes that its SMTP interface has for it (Amazon SES, "SMTP
// response codes returned by Amazon SES"); the error, a sentence for an administrator, is that it gave none. A
// message id is SES's word that it has the mail, whatever happens to the rest of the answer.
func (m *Mailer) Send(ctx context.Context, mail destination.Mail) (destination.Response, error) {
	raw, err := m.Composer.Raw(mail)
	if err != nil {
		return destination.Response{}, err
	}
	if len(raw) > mailSize {
		return destination.Response{}, fmt.Errorf("the mail for %s has %d MB, and 40 MB is the most", mail.To,
			len(raw)>>20)
	}
	in := &sesv2.SendEmailInput{
		FromEmailAddress: &m.From, Destination: &types.Destination{ToAddresses: []string{mail.To}},
		Content: &types.EmailContent{Raw: &types.RawMessage{Data: raw}},
	}
	if m.ConfigurationSet != "" {
		in.ConfigurationSetName = &m.ConfigurationSet
	}
	out, err := m.SES.SendEmail(ctx, in, func(o *sesv2.Options) { o.HTTPClient = whole{o.HTTPClient} })
	switch {
	case out != nil && awssdk.ToString(out.MessageId) != "":
		return destination.Response{Status: destination.MailAccepted, Body: []byte("taken as " + *out.MessageId)}, nil
	case err != nil:
		return answered(err, mail.To)
	}
	return destination.Response{},
		errors.New("the mail service answered without a message id: it is not known whether it took the mail")
}

// whole hands the SDK what SES has said where the rest of its answer breaks off: the SDK would take that for no answer
// at all, and send the mail again.
type whole struct{ sesv2.HTTPClient }

// taken is SES's word that it has a mail. API reference, "SendEmail", response elements.
var taken = regexp.MustCompile(`"MessageId"\s*:\s*"[^"\\]+"`)

// answerLimit of what is read of an answer, in bytes.
const answerLimit = 64 << 10

func (w whole) Do(q *http.Request) (*http.Response, error) {
	answer, err := w.HTTPClient.Do(q)
	if err != nil || answer.StatusCode/100 != 2 {
		return answer, err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if id := taken.Find(body); err != nil && id != nil {
		body, err = []byte("{"+string(id)+"}"), nil
	}
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	return answer, nil
}

// failing is a reader that ends with an error, or at once.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// answered puts what SES means (API reference, "SendEmail", errors) into the words of SMTP.
func answered(err error, to string) (destination.Response, error) {
	var throttled *types.TooManyRequestsException
	var limit *types.LimitExceededException
	var suspended *types.AccountSuspendedException
	var paused *types.SendingPausedException
	var domain *types.MailFromDomainNotVerifiedException
	var api smithy.APIError
	say := func(code int, text string) (destination.Response, error) {
		return destination.Response{Status: code, Body: []byte(text)}, nil
	}
	if !errors.As(err, &api) {
		return destination.Response{}, fmt.Errorf("the mail service could not be used: %w", err)
	}
	words := api.ErrorMessage()
	switch {
	case errors.As(err, &throttled), errors.As(err, &limit), slices.Contains(throttling, api.ErrorCode()):
		return say(454, "Throttling failure: the platform's sending rate or daily quota is used up ("+api.ErrorCode()+
			": "+words+")")
	case errors.As(err, &suspended), errors.As(err, &paused), errors.As(err, &domain):
		return say(421, "4.3.2 the platform may not send mail at the moment: ask its operators ("+api.ErrorCode()+": "+
			words+")")
	}
	answer := destination.Response{Status: 554, Body: []byte(api.ErrorCode() + ": " + words),
		Recipient: aboutAddress(words, to)}
	answer.Ours = !answer.Recipient && aboutUs(api.ErrorCode(), words)
	if api.ErrorFault() == smithy.FaultServer {
		answer.Status, answer.Recipient, answer.Ours = 451, false, false
	}
	return answer, nil
}

// throttling are codes that the SDK has no type for here. Amazon SES, "Errors related to the sending quotas"; AWS,
// "Common errors".
var throttling = []string{
	"Throttling", "ThrottlingException", "ThrottledException",
	"RequestThrottled", "RequestThrottledException", "SlowDown", "RequestLimitExceeded",
}

// aboutUs reports whether SES refuses the stack: its role, its credentials, its configuration set or its sender. AWS,
// "Common errors"; API reference, "SendEmail", errors.
func aboutUs(code, words string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired", "NotFoundException",
		"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"ExpiredToken", "ExpiredTokenException", "MissingAuthenticationToken", "IncompleteSignature":
		return true
	}
	words = strings.ToLower(words)
	return strings.Contains(words, "not verified") || strings.Contains(words, "failed the check")
}

// aboutAddress reports whether SES refuses the receiver, and not the sender or the mail: an account in the sandbox
// sends to verified addresses alone ("Email address is not verified. The following identities failed the check in
// region X: …"), others are blocked ("Address blacklisted"), malformed ("Missing final '@domain'", "Domain contains
// illegal character", "Local address contains …") or unknown to DNS.
func aboutAddress(words, to string) bool {
	words, to = strings.ToLower(words), strings.ToLower(to)
	if _, failed, ok := strings.Cut(words, "failed the check"); ok {
		return strings.Contains(failed, to)
	}
	for _, w := range []string{
		"address blacklisted", "suppression list", "missing final '@domain'", "domain contains",
		"domain starts with", "domain ends with", "local address contains",
		"illegal address", "invalid recipient", "recipient address",
	} {
		if strings.Contains(words, w) {
			return true
		}
	}
	return false
}
