// Package pages is the Console in the browser. It uses nothing but the Console API and is embedded as its source: plain
// ES modules, a style sheet and message files, served as they stand below web/.
//
// Why so: a bundler would put Node and its packages before `make run`, or built files into reviews, and saves nothing
// here: all of it is under 60 KB compressed. Bare web components would be lighter by one library, and every view would
// have to keep its own DOM in step by hand. Preact and htm are the lightest well-kept way to write a view as a function
// of its state without a compiler: three files, 7 KB compressed. client-zip writes the archives that a page saves.
// web/lib/README.md says which versions they are.
//
// Everything is under a path that holds a digest of it all, so a browser keeps it for good and a new release is seen at
// once; only the page itself is asked for each time.
package pages
