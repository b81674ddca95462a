package browser

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The rate of the test: 20 a minute.
const apart = 3 * time.Second

func TestTheReceiverGetsNoMoreThanTheRateThatIsSetAndThePageSaysUntilWhen(t *testing.T) {
	t.Parallel()
	for name, l := range everyLook() {
		at := receive(t)
		p := program(t, "-allow", at.Host)
		id := slack(t, p, at, "Ops channel")
		b := open(t, p, l, "/integrations/"+id)
		b.act("settled")
		field := word(l, "Messages at most", "送信数の上限")
		b.fill(field, "1001")
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, "must be a whole number from 1 to 1,000", "1 から 1,000 までの整数にしてください"))
		b.fill(field, "20")
		b.click(word(l, "Save", "保存"))
		b.sees(word(l, "Saved.", "保存しました"))
		var i struct{ Rate string }
		require.NoError(t, p.Call("GET", "/v1/integrations/"+id, nil, &i))
		require.Equal(t, "20/minute", i.Rate)

		before, began, published := len(at.got()), time.Now(), 0
		for says := false; !says; { // what was sent while the page was loaded is said no more: then comes another burst
			vulnerabilities(t, p, "slow-"+name+strconv.Itoa(published), 5)
			published += 5
			eventually(t, "all are fanned out", func() (bool, error) {
				return len(found(t, p, "integration="+id).Items) == published, nil
			})
			says = saysWhenAllIsSent(t, b, l, at, id, before+published)
		}
		b.judgeWhole("rate-"+name, l)
		for n := range published {
			eventually(t, "the next one comes", func() (bool, error) { return len(at.got()) > before+n, nil })
		}
		for n, came := range at.arrivals(before) {
			require.False(t, came.Before(began.Add(time.Duration(n)*apart)), "%d came after %s", n+1, came.Sub(began))
		}
		require.Len(t, at.got(), before+published)
		eventually(t, "nothing waits", func() (bool, error) {
			var w struct{ Backlog *struct{ Waiting int } }
			err := p.Call("GET", "/v1/integrations/"+id, nil, &w)
			return w.Backlog == nil, err
		})
		b.follow("/")
		b.follow("/integrations/" + id)
		b.act("holds", field, "20")
		b.seesNot(word(l, "for their turn", "順番を待っています"))
	}
}

// The sentence about what waits: how much, and a time of the day.
var turns = map[string]*regexp.Regexp{
	"en": regexp.MustCompile(`(\d+) deliver(?:y waits for its|ies wait for their) turn\. At the rate that is set ` +
		`(?:it is|they are) sent by .*?(\d+):(\d\d):(\d\d)`),
	"ja": regexp.MustCompile(`(\d+) 件の配信が順番を待っています。設定した上限で送信すると、` +
		`.*?(\d+):(\d\d):(\d\d) までに完了します`),
}

// saysWhenAllIsSent judges how much waits, and when that is sent, as the page says; false where it says
// nothing. total is how many there are with those that came.
func saysWhenAllIsSent(t *testing.T, b *tab, l look, at *receiver, id string, total int) bool {
	t.Helper()
	b.follow("/")
	b.act("settled")
	asked := time.Now()
	b.follow("/integrations/" + id)
	b.sees(word(l, "Messages at most", "送信数の上限"))
	b.act("settled")
	said := turns[l.language].FindStringSubmatch(squeezed(b.text()))
	seen, came := time.Now(), len(at.got())
	if said == nil {
		return false
	}
	var figures [4]int
	for n := range figures {
		var err error
		figures[n], err = strconv.Atoi(said[n+1])
		require.NoError(t, err)
	}
	waiting := figures[0]
	require.LessOrEqual(t, total-came, waiting, "what came later waited then")
	require.LessOrEqual(t, waiting, total)
	end := time.Duration(figures[1]%12)*time.Hour + time.Duration(figures[2])*time.Minute +
		time.Duration(figures[3])*time.Second
	// of a clock of twelve hours, from the second in which it was asked
	first := asked.Truncate(time.Second).Add(time.Duration(waiting) * apart)
	late := end - time.Duration(first.Hour()%12)*time.Hour - time.Duration(first.Minute())*time.Minute -
		time.Duration(first.Second())*time.Second
	late = (late + 12*time.Hour) % (12 * time.Hour)
	require.LessOrEqual(t, late, seen.Sub(asked)+time.Second, "%s, asked at %s, seen at %s", said[0], asked, seen)
	return true
}
