// Command tables writes docs/tables.md: the tables of template.yaml, and the kinds of rows that they hold, from the row
// structs of shared/engine/aws.
//
//	go run ./scripts/tables
//
// A row struct names its table in a directive above it: //tocsin:table DeliveriesTable, or several.
package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"

	"tocsin/scripts/awslocal"
	"tocsin/scripts/tool"
)

func main() {
	tool.Main("tables", func(context.Context, []string) error {
		page, err := generate(".")
		if err != nil {
			return err
		}
		return os.WriteFile("docs/tables.md", []byte(page), 0o644)
	})
}

// kind is a kind of rows.
type kind struct {
	table, name, doc string
	attributes       []attribute
}

type attribute struct{ name, form, note string }

const head = `# Tables

Written by ` + "`go run ./scripts/tables`" + ` from template.yaml and the row structs of shared/engine/aws;
a test holds it to them. Who writes and who reads is what the functions' roles allow. Times are epoch seconds
where nothing else is said. A version ` + "`v`" + ` that is not there is 1 ([versions](versions.md)).
`

// generate makes the page of the repository at a path.
func generate(root string) (string, error) {
	template, err := awslocal.ReadTemplate(filepath.Join(root, "template.yaml"))
	if err != nil {
		return "", err
	}
	kinds, err := rows(filepath.Join(root, "shared/engine/aws"))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(head)
	var tables []string
	for id, r := range template.Resources {
		if r.Type == "AWS::DynamoDB::Table" {
			tables = append(tables, id)
		}
	}
	sort.Strings(tables)
	for _, id := range tables {
		r := template.Resources[id]
		fmt.Fprintf(&b, "\n## %s\n\n- Key: %s\n", id, schema(r.Properties))
		indexes, _ := awslocal.At(r.Properties, "GlobalSecondaryIndexes").([]any)
		for _, x := range indexes {
			fmt.Fprintf(&b, "- Index `%s`: %s (%s)\n", awslocal.Text(awslocal.At(x, "IndexName")), schema(x),
				awslocal.Text(awslocal.At(x, "Projection", "ProjectionType")))
		}
		ttl := awslocal.Text(awslocal.At(r.Properties, "TimeToLiveSpecification", "AttributeName"))
		if ttl != "" {
			fmt.Fprintf(&b, "- TTL: `%s`\n", ttl)
		}
		fmt.Fprintf(&b, "- Written by: %s\n- Read by: %s\n", callers(template, id, writes),
			callers(template, id, reads))
		found := false
		for _, k := range kinds {
			if k.table == id {
				found = true
				write(&b, k)
			}
		}
		if !found {
			return "", fmt.Errorf("%s has no row struct in shared/engine/aws", id)
		}
	}
	return b.String(), nil
}

func write(b *strings.Builder, k kind) {
	fmt.Fprintf(b, "\n%s (`%s`)\n\n| attribute | form | |\n|---|---|---|\n", k.doc, k.name)
	for _, a := range k.attributes {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", a.name, a.form, strings.ReplaceAll(a.note, "|", "\\|"))
	}
}

var (
	writes = []string{"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLInsert", "PartiQLUpdate"}
	reads  = []string{"GetItem", "Query", "BatchGetItem", "Scan", "PartiQLSelect"}
)

// callers are the functions whose roles allow one of the calls.
func callers(t *awslocal.Template, id string, calls []string) string {
	var out []string
	for _, name := range awslocal.Names {
		if slices.ContainsFunc(calls, func(call string) bool {
			return t.Allows(awslocal.Use{Caller: name, Action: "dynamodb:" + call, Resource: id}, "")
		}) {
			out = append(out, strings.ToLower(name))
		}
	}
	if len(out) == 0 {
		return "no function"
	}
	return strings.Join(out, ", ")
}

func schema(v any) string {
	list, _ := awslocal.At(v, "KeySchema").([]any)
	var out []string
	for _, k := range list {
		out = append(out, "`"+awslocal.Text(awslocal.At(k, "AttributeName"))+"`")
	}
	return strings.Join(out, ", ")
}

// rows reads the row structs below a folder.
func rows(folder string) (out []kind, err error) {
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE && g.Doc != nil {
				k, ok, err := rowOf(file.Name.Name, g)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				for _, table := range strings.Fields(k.table) {
					if k.table = table; ok {
						out = append(out, k)
					}
				}
			}
		}
		return nil
	})
	return out, err
}

// rowOf reads a row struct; false where the declaration is none.
func rowOf(in string, g *ast.GenDecl) (k kind, ok bool, err error) {
	spec, _ := g.Specs[0].(*ast.TypeSpec)
	body, ok := spec.Type.(*ast.StructType)
	for _, c := range g.Doc.List {
		if name, directive := strings.CutPrefix(c.Text, "//tocsin:table "); directive {
			k.table = name
		}
	}
	if !ok || k.table == "" {
		return k, false, nil
	}
	k.name = in + "." + spec.Name.Name
	k.doc = strings.Join(strings.Fields(strings.TrimPrefix(g.Doc.Text(), spec.Name.Name+" ")), " ")
	k.doc = strings.TrimPrefix(k.doc, "is ")
	k.doc = strings.ToUpper(k.doc[:1]) + k.doc[1:]
	for _, f := range body.Fields.List {
		if f.Tag == nil {
			continue
		}
		name, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("dynamodbav"), ",")
		a := attribute{name: name, form: form(f.Type), note: strings.TrimSpace(f.Comment.Text())}
		if a.form == "" {
			return k, false, fmt.Errorf("%s has a field `%s` of a type that this command does not know", k.name, name)
		}
		if strings.Contains(options, "omitempty") {
			a.form += ", may be missing"
		}
		k.attributes = append(k.attributes, a)
	}
	return k, true, nil
}

// form is how DynamoDB has a value.
func form(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return map[string]string{"string": "text", "int": "number", "int64": "number", "bool": "truth value"}[t.Name]
	case *ast.StarExpr:
		return form(t.X)
	case *ast.SelectorExpr:
		return map[string]string{"Time": "text, a time of RFC 3339", "Bytes": "bytes"}[t.Sel.Name]
	case *ast.ArrayType:
		if e, ok := t.Elt.(*ast.Ident); ok {
			return map[string]string{"byte": "bytes", "string": "list of texts", "outboxEvent": "list of maps"}[e.Name]
		}
	}
	return ""
}
