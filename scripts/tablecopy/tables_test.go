package main

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"
)

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func TestEqualRowsHaveEqualTextsAndOthersHaveNot(t *testing.T) {
	equal := []row{
		{"a": s("1"), "b": &types.AttributeValueMemberSS{Value: []string{"x", "y"}},
			"m": &types.AttributeValueMemberM{Value: row{"p": s("q"), "r": s("s")}}},
		{"m": &types.AttributeValueMemberM{Value: row{"r": s("s"), "p": s("q")}},
			"b": &types.AttributeValueMemberSS{Value: []string{"y", "x"}}, "a": s("1")},
	}
	require.Equal(t, text(equal[0]), text(equal[1]))
	different := []row{
		{"a": s("1")}, {"a": &types.AttributeValueMemberN{Value: "1"}},
		{"a": &types.AttributeValueMemberB{Value: []byte("1")}},
		{"a": &types.AttributeValueMemberSS{Value: []string{"1"}}},
		{"a": &types.AttributeValueMemberL{Value: []types.AttributeValue{s("1")}}},
		{"a": s("1"), "b": s("")}, {"a": s(`1","b":S"`)}, {"a": &types.AttributeValueMemberNULL{Value: true}},
		{"a": &types.AttributeValueMemberBOOL{Value: true}}, {"a": &types.AttributeValueMemberBOOL{Value: false}}, {},
		{"a": &types.AttributeValueMemberL{Value: []types.AttributeValue{s("1,S"), s("2")}}},
		{"a": &types.AttributeValueMemberL{Value: []types.AttributeValue{s("1"), s("S,2")}}},
	}
	seen := map[string]int{}
	for n, r := range different {
		if m, ok := seen[text(r)]; ok {
			t.Errorf("rows %d and %d have one text", m, n)
		}
		seen[text(r)] = n
	}
}

func TestTwoTablesAreNeeded(t *testing.T) {
	for _, args := range [][]string{{}, {"-from", "a"}, {"-from", "a", "-to", "a"}} {
		require.ErrorContains(t, run(t.Context(), args), "name two tables")
	}
}
