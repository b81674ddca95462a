package notification_test

import (
	"testing"

	"tocsin/shared/event"
)

func BenchmarkEnvelopeOfAHit(b *testing.B) {
	n := of(event.NewHits,
		`{"hit":{"domain":"shop.example.com","heur_distance":0.5,"method":"POST","parameter":"POST_comment_value","path":"/orders/1","payloads":["' or 1=1--"],"point":["post","comment"],"probability":0.5,"remote_country":"NL","remote_port":40112,"remote_addr4":"203.0.113.7","remote_addr6":"","tor":"none","request_time":1677628800,"create_time":1677628802,"response_len":345,"response_status":404,"response_time":120,"stamps":[2042],"regex":[],"stamps_hash":-730112,"regex_hash":-2147483648,"type":"sqli","block_status":"monitored","id":["hits_production_42_202303_v_1","k3Zr0a1xQmS8T2bW5cYd"],"object_type":"hit","anomaly":0.98}}`)
	b.ReportAllocs()
	for b.Loop() {
		n.Envelope()
	}
}
