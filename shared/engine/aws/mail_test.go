package aws_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/engine/aws/ses"
	"tocsin/shared/mail"
	"tocsin/shared/mail/reply"
)

// service is a mailer whose SES answers as the handler does.
func service(t *testing.T, handler http.HandlerFunc) *ses.Mailer {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	composer, err := mail.NewComposer("Töcsin <tocsin@bücher.example>", now)
	require.NoError(t, err)
	return &ses.Mailer{From: composer.From(), Composer: composer, SES: sesv2.New(sesv2.Options{
		Region: "eu-central-1", BaseEndpoint: &s.URL,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Retryer: awssdk.NopRetryer{},
	})}
}

var toAda = destination.Mail{To: "ada@example.com", Subject: "s", Text: "t"}

func TestH1AMessageIDOfSESIsADeliveryWhateverFollows(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, answer := range map[string]http.HandlerFunc{
		"a body that breaks off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"MessageId":"m-1"}`)
		},
		"a body that breaks off within": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"MessageId" : "m-1", "Unk`)
		},
		"a context that ends": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"MessageId":"m-1"}`)
		},
	} {
		calls := 0
		m := service(t, func(w http.ResponseWriter, q *http.Request) { calls++; answer(w, q) })
		said, err := m.Send(ctx, toAda)
		require.NoError(t, err, name)
		require.Equal(t, destination.Response{Status: 250, Body: []byte("taken as m-1")}, said)
		require.Equal(t, 1, calls)
	}
	m := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"Messa`)
	})
	_, err := m.Send(t.Context(), toAda)
	require.ErrorContains(t, err, "the mail service could not be used")
	m = service(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) })
	_, err = m.Send(t.Context(), toAda)
	require.ErrorContains(t, err, "without a message id")
}

func TestH2WhatSESSaysOfTheReceiverIsTheReceivers(t *testing.T) {
	for _, c := range []struct {
		http, status    int
		code, words     string
		recipient, slow bool
	}{
		{400, 554, "MessageRejected", "Email address is not verified. The following identities failed the check in " +
			"region EU-CENTRAL-1: ada@example.com", true, false},
		{400, 554, "MessageRejected", "Email address is not verified. The following identities failed the check in " +
			"region EU-CENTRAL-1: tocsin@xn--bcher-kva.example", false, false},
		{400, 554, "MessageRejected", "Email address is not verified.", false, false},
		{400, 554, "MessageRejected", "Address blacklisted.", true, false},
		{400, 554, "BadRequestException", "Missing final '@domain'", true, false},
		{400, 554, "BadRequestException", "Domain contains illegal character", true, false},
		{400, 554, "BadRequestException", "Illegal address", true, false},
		{400, 554, "BadRequestException", "Invalid header", false, false},
		{404, 554, "NotFoundException", "Configuration set <x> does not exist.", false, false},
		{429, 454, "TooManyRequestsException", "Maximum sending rate exceeded.", false, true},
		{400, 454, "ThrottlingException", "Rate exceeded", false, true},
		{400, 454, "Throttling", "Daily message quota exceeded.", false, true},
		{400, 454, "LimitExceededException", "too many", false, true},
		{400, 421, "SendingPausedException", "paused", false, true},
		{400, 421, "AccountSuspendedException", "suspended", false, true},
		{400, 421, "MailFromDomainNotVerifiedException", "not verified", false, true},
		{500, 451, "InternalServiceErrorException", "oops", false, false},
		{403, 554, "AccessDeniedException", "User is not authorized", false, false},
	} {
		m := service(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", c.code)
			w.WriteHeader(c.http)
			fmt.Fprintf(w, `{"message":%q}`, c.words)
		})
		said, err := m.Send(t.Context(), toAda)
		require.NoError(t, err, c.code)
		require.Equal(t, c.status, said.Status, "%s %s", c.code, c.words)
		require.Equal(t, c.recipient, said.Recipient, "%s %s", c.code, c.words)
		require.Equal(t, c.http == 403 || c.http == 404 || !c.recipient && strings.Contains(c.words, "is not verified"),
			said.Ours, "the role, the configuration set and the sender are the stack's: %s %s", c.code, c.words)
		require.Contains(t, string(said.Body), c.words)
		require.Equal(t, c.slow, reply.Read(said.Status, string(said.Body)).SlowDown(), "%s %s", c.code, c.words)
	}
	gone := service(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := gone.Send(t.Context(), toAda)
	require.ErrorContains(t, err, "the mail service could not be used")
}
