package awslocal_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/egress"
)

// What goes out to customers' systems goes through the network; what does not, needs none.
func TestM3OnlyTheFunctionsThatSendAreInTheNetwork(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	require.Nil(t, awslocal.At(template.Globals, "Function", "VpcConfig"))
	for _, name := range awslocal.Names {
		sends := slices.Contains([]string{"Api", "Deliver", "Retry"}, name)
		in := awslocal.At(template.Resources[name+"Function"].Properties, "VpcConfig", "Fn::If")
		require.Equal(t, sends, in != nil, name)
		managed := awslocal.At(template.Resources[name+"Role"].Properties, "ManagedPolicyArns")
		require.Equal(t, sends, managed != nil, "%s: its role makes network interfaces", name)
		if sends {
			require.Equal(t, "InVpc", awslocal.At(in, 0))
		}
	}
}

// The outputs of network.yaml are taken as they are by template.yaml, and by what reads its parameter.
func TestM3TheNetworksOutputsAreTheTemplatesParameters(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	network, err := awslocal.ReadTemplate("../../network.yaml")
	require.NoError(t, err)
	require.Len(t, network.Outputs, 3)
	for name := range network.Outputs {
		require.Contains(t, template.Parameters, name)
	}
	parts, _ := awslocal.At(network.Outputs["EgressAddresses"], "Value", "Fn::Join", 1).([]any)
	require.Len(t, parts, 3)
	var active, spare []string
	for n, part := range parts {
		if n > 0 { // whether there is a second and a third zone
			part = awslocal.At(part, "Fn::If", 1)
		}
		text := awslocal.Text(awslocal.At(part, "Fn::Sub", 0))
		require.Equal(t, []any{"Active", "", "/spare"}, awslocal.At(part, "Fn::Sub", 1, "Use", "Fn::If"))
		filled := strings.NewReplacer("${Address1}", "192.0.2.1", "${Address2}", "192.0.2.2", "${Address3}",
			"192.0.2.3", "${AWS::Region}", "eu-west-1").Replace(text)
		active = append(active, strings.Replace(filled, "${Use}", "", 1))
		spare = append(spare, strings.NewReplacer("${Use}", "/spare", "192.0.2.", "198.51.100.").Replace(filled))
	}
	all, err := egress.ParseAddresses(strings.Join(append(active, spare...), ","))
	require.NoError(t, err)
	require.Len(t, all, 6)
	require.Equal(t, []bool{false, false, false, true, true, true},
		[]bool{all[0].Spare, all[1].Spare, all[2].Spare, all[3].Spare, all[4].Spare, all[5].Spare})
}

// What customers have admitted stays theirs to admit: an address outlives its stack, and each zone leaves by its own.
func TestM3AddressesStayAndEachZoneHasItsOwnWayOut(t *testing.T) {
	network, err := awslocal.ReadTemplate("../../network.yaml")
	require.NoError(t, err)
	kept := 0
	for id, r := range network.Resources {
		if r.Type == "AWS::EC2::EIP" {
			kept++
			require.Equal(t, "Retain", r.DeletionPolicy, id)
		}
		if r.Type == "AWS::EC2::SecurityGroup" && id == "Sending" {
			require.Nil(t, r.Properties["SecurityGroupIngress"], "nothing comes in")
		}
	}
	require.Equal(t, 3, kept)
	for _, zone := range []string{"1", "2", "3"} {
		require.Equal(t, "Nat"+zone, awslocal.Target(network.Resources["WayOut"+zone].Properties["NatGatewayId"]))
		require.Equal(t, "Address"+zone, awslocal.Target(network.Resources["Nat"+zone].Properties["AllocationId"]))
		require.Equal(t, "Public"+zone, awslocal.Target(network.Resources["Nat"+zone].Properties["SubnetId"]))
		require.Equal(t, "Private"+zone, awslocal.Target(network.Resources["RoutesOf"+zone].Properties["SubnetId"]))
		zones, err := json.Marshal([]any{network.Resources["Private"+zone].Properties["AvailabilityZone"],
			network.Resources["Public"+zone].Properties["AvailabilityZone"]})
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(string(zones), `[`+string(rune('0'+zone[0]-'1'))+`,{"Fn::GetAZs"`), "%s",
			zones)
	}
}

// With PrivateEndpoints no call of a function that sends leaves by a NAT gateway but those to systems of customers.
func TestTheNetworkHasAnEndpointForEachServiceOfTheFunctionsThatSend(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	network, err := awslocal.ReadTemplate("../../network.yaml")
	require.NoError(t, err)
	endpoints := map[string]bool{}
	for _, r := range network.Resources {
		if r.Type == "AWS::EC2::VPCEndpoint" {
			name := awslocal.Text(awslocal.At(r.Properties["ServiceName"], "Fn::Sub"))
			endpoints[name[strings.LastIndex(name, ".")+1:]] = true
		}
	}
	// Requests to SES and STS are sent to customers' systems: mails, and buckets of roles that they let us assume.
	outside := map[string]bool{"ses": true, "sts": true}
	prefixes := map[string]bool{}
	for _, name := range []string{"Api", "Deliver", "Retry"} {
		policies, err := json.Marshal(template.Resources[name+"Role"].Properties)
		require.NoError(t, err)
		for _, action := range actions.FindAllStringSubmatch(string(policies), -1) {
			prefixes[action[1]] = true
		}
	}
	require.Contains(t, prefixes, "secretsmanager")
	for service := range prefixes {
		if !outside[service] && !slices.Contains([]string{"xray", "logs", "ec2", "lambda"}, service) {
			require.True(t, endpoints[service], service)
		}
	}
}

var actions = regexp.MustCompile(`"([a-z0-9]+):[A-Z][A-Za-z]+\*?"`)
