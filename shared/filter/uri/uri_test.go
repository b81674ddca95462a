package uri

import (
	"regexp/syntax"
	"testing"

	"github.com/stretchr/testify/require"
)

// The size that is counted is never far below what the compiler makes.
func TestTheSizeOfAPatternIsThatOfItsProgram(t *testing.T) {
	for _, raw := range []string{"a", "abc", "a*", "(a|bc)+", "[a-z0-9]{3,7}", ".{0,900}", "(a{0,30}){0,30}", `\pL{20}`,
		"(?i)hello", "a{5,}", "(?:x|y|z){10}", "^a$", `\bfoo\b`, "", "(a*)*", "(ab?c+){3}"} {
		re, err := syntax.Parse(raw, syntax.Perl)
		require.NoError(t, err)
		counted := programSize(re)
		prog, err := syntax.Compile(re.Simplify())
		require.NoError(t, err)
		require.GreaterOrEqual(t, counted*2+4, len(prog.Inst), raw)
		require.LessOrEqual(t, counted, 12*len(prog.Inst)+8, raw)
	}
}
