//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/engine/aws"
	"tocsin/shared/event"
)

// statements are those of a policy document.
func statements(document any) (out []map[string]any) {
	list, _ := awslocal.At(document, "Statement").([]any)
	for _, s := range list {
		m, _ := s.(map[string]any)
		out = append(out, m)
	}
	return out
}

// encoded is a property as text, for what a test looks for in it.
func encoded(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func TestEveryQueueDeniesWhatComesWithoutTLSAndIsEncrypted(t *testing.T) {
	resources := transformed(t)
	denying := map[string]int{}
	for id, p := range of(resources, "AWS::SQS::QueuePolicy") {
		denies := slices.ContainsFunc(statements(p["PolicyDocument"]), func(s map[string]any) bool {
			return s["Effect"] == "Deny" && s["Principal"] == "*" && s["Action"] == "sqs:*" && s["Resource"] == "*" &&
				awslocal.At(s, "Condition", "Bool", "aws:SecureTransport") == "false"
		})
		require.True(t, denies, id)
		queues, _ := p["Queues"].([]any)
		for _, q := range queues {
			denying[awslocal.Target(q)]++
		}
		require.LessOrEqual(t, length(t, p["PolicyDocument"]), 8_192, "bytes of a queue's policy: SQS, \"Quotas\"")
	}
	for id, p := range of(resources, "AWS::SQS::Queue") {
		require.Equal(t, 1, denying[id], "%s: one policy names it, since a queue has one only", id)
		require.Equal(t, true, p["SqsManagedSseEnabled"], id)
	}
}

func TestEveryTableThatIsKeptIsProtectedAgainstDeletion(t *testing.T) {
	tables := 0
	for id, r := range transformed(t) {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		tables++
		require.Equal(t, "Key", awslocal.Target(awslocal.At(r.Properties, "SSESpecification", "KMSMasterKeyId")), id)
		if r.DeletionPolicy == "Retain" {
			require.Equal(t, map[string]any{"Ref": "DeletionProtection"}, r.Properties["DeletionProtectionEnabled"], id)
		}
	}
	require.Greater(t, tables, 8)
}

func TestEveryLogGroupIsEncryptedUnderANameThatTheKeyLetsIn(t *testing.T) {
	resources := transformed(t)
	var named []string
	for _, s := range statements(resources["Key"].Properties["KeyPolicy"]) {
		if !strings.Contains(encoded(t, s["Principal"]), "logs.${AWS::Region}") {
			continue
		}
		for _, arn := range awslocal.At(s, "Condition", "ArnLike", "kms:EncryptionContext:aws:logs:arn").([]any) {
			_, name, ok := strings.Cut(awslocal.Text(awslocal.At(arn, "Fn::Sub")), ":log-group:")
			require.True(t, ok)
			named = append(named, strings.TrimSuffix(name, "*"))
		}
	}
	groups := of(resources, "AWS::Logs::LogGroup")
	require.NotEmpty(t, groups)
	for id, p := range groups {
		require.Equal(t, "Key", awslocal.Target(p["KmsKeyId"]), id)
		name := awslocal.Text(awslocal.At(p["LogGroupName"], "Fn::Sub"))
		require.True(t, slices.ContainsFunc(named, func(prefix string) bool { return strings.HasPrefix(name, prefix) }), "%s: %s", id, name)
	}
}

// own are the kinds of events that Tocsin publishes itself: nobody else's account may.
var own = []event.Kind{
	event.CreateIntegration, event.UpdateIntegration, event.EnableIntegration, event.DisableIntegration, event.DeleteIntegration,
	event.IntegrationBroken, event.IntegrationFailing, event.IntegrationWorking, event.TriggerCreate, event.TriggerUpdate, event.TriggerDelete,
	event.Report, event.AddressUndeliverable, event.AttacksExceeded, event.IncidentsExceeded,
	event.IPDenylistRequested, event.IPGraylistRequested, event.IPMarkRequested, event.HitsGroupRequested,
}

func TestOtherAccountsPublishOnlyWhatUpstreamDoes(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	policies := of(transformed(t), "AWS::Events::EventBusPolicy")
	require.Len(t, policies, 2)
	for id, p := range policies {
		s := p["Statement"]
		require.Equal(t, "events:PutEvents", awslocal.At(s, "Action"), id)
		require.Equal(t, "Bus", awslocal.Target(awslocal.At(s, "Resource")), id)
		require.Equal(t, "PublisherKinds", awslocal.Target(awslocal.At(s, "Condition", "StringEquals", "events:detail-type")), id)
		require.Equal(t, "PublisherSources", awslocal.Target(awslocal.At(s, "Condition", "ForAllValues:StringEquals", "events:source")), id)
		require.Equal(t, "false", awslocal.At(s, "Condition", "Null", "events:source"), id)
		if awslocal.At(s, "Principal") == "*" {
			require.Equal(t, "PublisherOrganization", awslocal.Target(awslocal.At(s, "Condition", "StringEquals", "aws:PrincipalOrgID")), id)
		} else {
			require.Equal(t, "PublisherAccounts", awslocal.Target(awslocal.At(s, "Principal", "AWS")), id)
		}
	}
	var upstream []string
	for _, k := range event.Kinds() {
		if !slices.Contains(own, k) {
			upstream = append(upstream, string(k))
		}
	}
	kinds, _ := template.Parameters["PublisherKinds"].Default.(string)
	require.ElementsMatch(t, upstream, strings.Split(kinds, ","))
	sources, _ := template.Parameters["PublisherSources"].Default.(string)
	require.NotContains(t, strings.Split(sources, ","), aws.Source)
	for _, name := range []string{"PublisherAccounts", "PublisherOrganization"} {
		require.Equal(t, "", template.Parameters[name].Default, "nobody else by default")
	}
}
