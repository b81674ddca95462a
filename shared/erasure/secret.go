package erasure

import "slices"

// secret are the fields that are in no export, of rows and of what is in them.
var secret = []string{"digest", "Digest", "Sealed", "sealed"}

// Secret reports whether a field is in no export.
func Secret(field string) bool { return slices.Contains(secret, field) }

// Open is decoded JSON without what is secret in it, which it takes out of v.
func Open(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			if v[key] = Open(one); Secret(key) {
				delete(v, key)
			}
		}
	case []any:
		for n, one := range v {
			v[n] = Open(one)
		}
	}
	return v
}
