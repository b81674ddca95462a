package configuration

import (
	"fmt"
	"tocsin/shared/configuration/tree"
)

// Read reads a document in YAML, or in JSON, which is a part of it. It takes no member that it does not know. The error
// is Problems.
func Read(data []byte) (Document, error) {
	root, err := tree.Parse(data, fmt.Sprintf("version: %d", Version))
	if err != nil {
		return Document{}, err
	}
	r := reader{}
	d := r.document(root)
	d.root = root
	return d, r.problems.Err()
}
