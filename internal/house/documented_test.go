package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestPublicNamesAreDocumented: every exported name of the public packages, and every exported field, says what it is.
func TestPublicNamesAreDocumented(t *testing.T) {
	for _, folder := range []string{"../..", "../../tensor"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", folder, err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				for _, n := range undocumented(d) {
					t.Errorf("%s: %s has no comment", set.Position(n.Pos()), n.Name)
				}
			}
		}
	}
}

// undocumented is the exported names of a declaration without a comment.
func undocumented(d ast.Decl) (names []*ast.Ident) {
	check := func(n *ast.Ident, comments ...*ast.CommentGroup) {
		for _, c := range comments {
			if c != nil {
				return
			}
		}
		if n.IsExported() {
			names = append(names, n)
		}
	}
	if f, ok := d.(*ast.FuncDecl); ok {
		check(f.Name, f.Doc)
	}
	g, ok := d.(*ast.GenDecl)
	if !ok {
		return names
	}
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.ValueSpec:
			for _, n := range s.Names {
				check(n, g.Doc, s.Doc, s.Comment)
			}
		case *ast.TypeSpec:
			check(s.Name, g.Doc, s.Doc)
			fields, ok := s.Type.(*ast.StructType)
			if !ok || !s.Name.IsExported() {
				continue
			}
			for _, field := range fields.Fields.List {
				for _, n := range field.Names {
					check(n, field.Doc, field.Comment)
				}
			}
		}
	}
	return names
}
