package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/telegram"
)

// BenchmarkHotPathEncode writes the requests of one event for each system: the first of those that it takes.
func BenchmarkHotPathEncode(b *testing.B) {
	examples, _ := destinationtest.Examples(b)
	all := catalogue.Default(telegram.New(telegram.Bot{Token: "123456:not-a-real-token-but-long-enough"}))
	for _, e := range all.All() {
		system := e.System
		example, ok := examples[system.Name]
		if !ok {
			continue
		}
		b.Run(system.Name, func(b *testing.B) {
			d, ok := all.Destination(system.Name)
			require.True(b, ok)
			if system.Name == "telegram" {
				example.Parameters = []byte(`{"chat_id":-1001557912345}`)
			}
			opened := destinationtest.Open(b, destinationtest.Case{Destination: d,
				Parameters: string(example.Parameters)})
			target := destination.Target{Parameters: opened, Delivery: "01GTD8R400000000000000TEST",
				Now: destinationtest.Now}
			one := destinationtest.Notifications(system)[:1]
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Encode(target, one); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
