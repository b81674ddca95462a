package egress_test

import (
	"encoding/csv"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/egress"
)

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// middle is the first address of a prefix's second half.
func middle(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	if p.Bits() < len(b)*8 {
		b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func TestS11WhatTheRegistriesCallNotReachableIsRefused(t *testing.T) {
	text, err := os.ReadFile("testdata/special-purpose.csv")
	require.NoError(t, err)
	r := csv.NewReader(strings.NewReader(string(text)))
	r.Comment = '#'
	rows, err := r.ReadAll()
	require.NoError(t, err)
	require.Greater(t, len(rows), 55)
	refused := 0
	for _, row := range rows {
		p := netip.MustParsePrefix(row[0])
		if row[3] == "true" {
			continue // may be refused all the same: no receiver lives at an anycast service's address
		}
		for _, a := range []netip.Addr{p.Masked().Addr(), middle(p), last(p)} {
			if row[0] == "2002::/16" {
				continue // judged by the address inside: see below
			}
			require.False(t, egress.Public(a), "%s of %s (%s)", a, row[0], row[1])
			refused++
		}
	}
	require.Greater(t, refused, 120)
}

func TestS11AnAddressThatHoldsAnotherIsJudgedByIt(t *testing.T) {
	inside := []string{"127.0.0.1", "10.1.2.3", "169.254.169.254", "172.31.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0",
		"224.0.0.1", "255.255.255.255"}
	embed := func(prefix string, at int, ip string) netip.Addr {
		b, four := netip.MustParseAddr(prefix).As16(), netip.MustParseAddr(ip).As4()
		copy(b[at:], four[:])
		return netip.AddrFrom16(b)
	}
	for name, f := range map[string]struct {
		prefix string
		at     int
		public bool // with a public address inside
	}{
		"IPv4-mapped":                         {"::ffff:0:0", 12, false},
		"IPv4-compatible":                     {"::", 12, false},
		"IPv4-translated":                     {"::ffff:0:0:0", 12, false},
		"NAT64":                               {"64:ff9b::", 12, true},
		"local NAT64, /96":                    {"64:ff9b:1::", 12, false},
		"local NAT64, /48":                    {"64:ff9b:1::", 6, false},
		"6to4":                                {"2002::", 2, true},
		"6to4 with an interface":              {"2002::1", 2, true},
		"Teredo's server":                     {"2001::", 4, false},
		"Teredo's client":                     {"2001::", 12, false},
		"ISATAP":                              {"2606:4700::5efe:0:0", 12, true},
		"ISATAP, the universal bit set":       {"2606:4700::200:5efe:0:0", 12, true},
		"ISATAP in a link-local address":      {"fe80::5efe:0:0", 12, false},
		"a prefix that nobody has given out":  {"4000::", 12, false},
		"the prefix before IPv4-compatible's": {"::1:0:0", 12, false},
	} {
		for _, ip := range inside {
			require.False(t, egress.Public(embed(f.prefix, f.at, ip)), "%s: %s", name, embed(f.prefix, f.at, ip))
		}
		require.Equal(t, f.public, egress.Public(embed(f.prefix, f.at, "34.94.85.217")), name)
	}
	// 6to4 around ISATAP: both are looked at.
	require.False(t, egress.Public(netip.MustParseAddr("2002:808:808::5efe:7f00:1")))
}

func TestS11HostsInOddSpellings(t *testing.T) {
	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1",
		"0x7f.0x0.0x0.0x1", "127.0.0.01", "0",
		"127.0.0.1.", "127.1.", "2130706433.", "localhost", "LOCALHOST", "LocalHost.", "a.localhost",
		"localhost.localdomain", "printer.local",
		"metadata.google.internal", "METADATA.GOOGLE.INTERNAL.", "router.home.arpa", "metadata", "intranet", "1e100",
		"１２７.０.０.１", "127。0。0。1", "１２７｡０｡０｡１", "①②⑦.0.0.1", "ｌｏｃａｌｈｏｓｔ", "metadata。google。internal", "loc\u00adalhost",
		"ⓛocalhost",
		"%31%32%37.0.0.1", "127.0.0.1%00.example.com", "%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1", "loc%61lhost",
		"127%2e0%2e0%2e1",
		"[::1]", "[::]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[::ffff:0:7f00:1]", "[::ffff:0:127.0.0.1]",
		"[0:0:0:0:0:ffff:a9fe:a9fe]", "[::FFFF:A9FE:A9FE]",
		"[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25eth0]", "[2606:4700::1111%25eth0]",
		"[::1%25lo]", "[fd00:ec2::254]",
		"[::ffff:8.8.8.8]", "[v1.127]", "[127.0.0.1]", "a..example.com", ".example.com", "example.com..", "..", ".",
		"-a.example.com", "a b.example.com",
		"example.com\\@127.0.0.1", "example.com\t", "ex\nample.com", "exa<mple.com", "a." + strings.Repeat("b", 64) +
			".example.com",
		strings.Repeat("a.", 150) + "example.com", "xn--.example.com", "user@example.com", "user:pass@example.com",
		"@example.com",
	} {
		require.Error(t, egress.Policy{}.CheckURL("https://"+host+"/"), host)
		require.Error(t, egress.Policy{}.CheckURL("https://"+host+":8443/x"), host)
	}
	for _, address := range []string{
		"https://example.com:0/", "https://example.com:65536/", "https://example.com:99999999999/",
		"https://example.com:x/", "https:example.com", "https:///x",
		"https:/example.com", "//example.com/", "HTTP://example.com/", "javascript://example.com/",
		"https://example.com/#x", " https://example.com", "https://example.com/\x7f",
	} {
		require.Error(t, egress.Policy{}.CheckURL(address), address)
	}
	for _, address := range []string{
		"https://example.com/", "HTTPS://EXAMPLE.COM/", "https://example.com./x", "https://my_host.example.com/",
		"https://xn--bcher-kva.example/", "https://bücher.example/",
		"https://8.8.8.8/", "https://8.8.8.8.:8443/", "https://[2606:4700::1111]/",
		"https://a-1.b2.c3.example.com:65535/?q=a@b", "https://1.1.1.1.example.com/", "https://example.com:/",
		"https://localhost.example.com/", "https://日本.example/", "https://local.example.com/",
	} {
		require.NoError(t, egress.Policy{}.CheckURL(address), address)
	}
}
