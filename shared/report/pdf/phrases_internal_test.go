package pdf

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJapaneseBreaksAtTheEndsOfPhrasesAlone(t *testing.T) {
	for said, want := range map[string]string{
		"悪意あるリクエスト 1,048,576 件のうち、85% をブロックしました。": "悪意ある|リクエスト |1,048,576 件のうち、|85% を|ブロックしました。",
		"送信元のアドレスは少なくとも 812 個あります。":               "送信元の|アドレスは|少なくとも |812 個あります。",
		"1 日の記録に残るのは最初の 1,000 件までです（2023年3月3日）。":  "1 日の|記録に|残るのは|最初の |1,000 件までです|（2023年3月3日）。",
		"They came from 812 addresses.": "They |came |from |812 |addresses.",
		"see「インシデント」を参照":                "see「インシデント」を|参照",
	} {
		require.Equal(t, want, strings.Join(phrases(said), "|"))
	}
}

func TestALineIsNoWiderThanItsRoom(t *testing.T) {
	f, st := newFonts(), style{10, false, ink}
	said := strings.Repeat("攻撃：1,234 件のうち 50 件を掲載しています。CSV レポートには 234 件が掲載されます。", 3)
	lines := f.wrap(said, st, 80)
	require.Greater(t, len(lines), 2)
	for _, line := range lines {
		require.LessOrEqual(t, f.width(line, st), 80.0, line)
	}
	require.Equal(t, strings.ReplaceAll(said, " ", ""), strings.ReplaceAll(strings.Join(lines, ""), " ", ""))
}
