package egress_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/egress"
)

func TestM3AddressesAreReadInTheirOrderWithRegionAndPurpose(t *testing.T) {
	got, err := egress.ParseAddresses(
		" 198.51.100.7@eu-west-1, 198.51.100.8,2001:db8::7@eu-west-1 ,203.0.113.0/28@dc-2/spare,")
	require.NoError(t, err)
	type told struct {
		is, region string
		spare      bool
	}
	var all []told
	for _, a := range got {
		all = append(all, told{a.String(), a.Region, a.Spare})
	}
	require.Equal(t, []told{{"198.51.100.7", "eu-west-1", false}, {"198.51.100.8", "", false},
		{"2001:db8::7", "eu-west-1", false}, {"203.0.113.0/28", "dc-2", true}}, all)
	got, err = egress.ParseAddresses("  ")
	require.NoError(t, err)
	require.Empty(t, got, "none is no fault")
}

func TestM3WhatIsNoAddressToAdmitIsRefused(t *testing.T) {
	for entry, says := range map[string]string{
		"example.com": "must be an IP address", "198.51.100": "must be an IP address",
		"198.51.100.7:443": "must be an IP address", "fe80::1%eth0": "is nothing that",
		"::ffff:198.51.100.7": "must be an IP address", "@eu-west-1": "must be an IP address",
		"198.51.100.7/28": "by its first address, 198.51.100.0/28", "0.0.0.0/0": "is nothing that",
		"::/0":    "is nothing that",
		"0.0.0.0": "is nothing that", "127.0.0.1": "is nothing that", "169.254.169.254": "is nothing that",
		"224.0.0.1":     "is nothing that",
		"198.51.100.7@": "must have a region", "198.51.100.7@eu west": "must have a region",
		"198.51.100.7@/spare": "must have a region", "198.51.100.7@eu-west-1/other": "must have a region",
		"198.51.100.7,198.51.100.7@eu-west-1": "is there twice", "198.51.100.7@<b>": "must have a region",
	} {
		_, err := egress.ParseAddresses(entry)
		require.ErrorContains(t, err, says, entry)
	}
}
