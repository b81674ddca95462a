package tree

import (
	"fmt"
	"strings"
)

// Instead names the known word that was meant, if one is near, or all of few.
func Instead(name string, known []string) string {
	if n := Nearest(name, known); n != "" {
		return fmt.Sprintf(": did you mean %q?", n)
	}
	if len(known) > 0 && len(known) <= 14 {
		return ": there are " + strings.Join(known, ", ")
	}
	return ""
}

// Nearest is the known word that differs least, "" when none is near: at most a third of its letters.
func Nearest(name string, known []string) string {
	best, least := "", 1<<30
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if d < least && d <= max(1, len(k)/3) {
			best, least = k, d
		}
	}
	return best
}

// distance is Damerau's of two short words: how many letters are wrong, missing, too many, or change places.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 1 << 29
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
