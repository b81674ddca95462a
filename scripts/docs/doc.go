// Package docs holds the documents to the tree: what they link to and name is there, and they keep their size.
package docs
