//go:build linux && (amd64 || arm64) && !noasm

package kernel

import (
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
)

// kinds are the values that the constants of one type, which name micro-kernels, may have at a place in the code. A kind
// that is absent may have any. Bool fields that guard kernels are kinds too.
type kinds map[string]map[int64]bool

func (k kinds) clone() kinds {
	c := kinds{}
	for kind, values := range k {
		c[kind] = maps.Clone(values)
	}
	return c
}

// join is what may be at a place that is reached in two ways.
func (k kinds) join(other kinds) kinds {
	j := kinds{}
	for kind, values := range k {
		if more, ok := other[kind]; ok {
			j[kind] = maps.Clone(values)
			maps.Copy(j[kind], more)
		}
	}
	return j
}

func (k kinds) equal(other kinds) bool {
	return maps.EqualFunc(k, other, func(a, b map[int64]bool) bool { return maps.Equal(a, b) })
}

// guards walks through the package and finds under which conditions functions are called. It takes all variables of a
// kind at one place for the same one, which holds as long as a function dispatches on one kernel of a kind.
type guards struct {
	info      *types.Info
	all       kinds // every constant but the zero one, which says that there is no micro-kernel
	functions map[types.Object]*ast.FuncDecl
	entries   map[types.Object]kinds
	changed   bool
}

// flagTiers are bool fields that say that a kernel may be used, and the lowest tier at which they are set: "amx" is that of
// a product, the others are fields of the rows of tables.
var flagTiers = map[string]cpu.Tier{
	"amx":              cpu.AMX,
	"bytePermutations": lowestTier(vectorTable, func(r vectorRow) bool { return r.vector.bytePermutations }),
	"gemv":             lowestTier(gemmInt8Table, func(r gemmInt8Row) bool { return r.gemv }),
	"winograd":         lowestTier(gemmF32Table, func(r gemmF32Row) bool { return r.winograd }),
}

// lowestTier is the tier of the last row that has something, or of none.
func lowestTier[R any, P interface {
	*R
	row
}](table []R, has func(R) bool) cpu.Tier {
	for i := len(table) - 1; i >= 0; i-- {
		if has(table[i]) {
			return P(&table[i]).needs()
		}
	}
	return cpu.AMX
}

// condition narrows down what may be where an expression is true, and where it is false.
func (g *guards) condition(e ast.Expr, now kinds) (yes, no kinds) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return g.condition(e.X, now)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			yes, no = g.condition(e.X, now)
			return no, yes
		}
	case *ast.SelectorExpr:
		if flagTiers[e.Sel.Name] != cpu.Generic {
			if basic, ok := g.info.TypeOf(e).(*types.Basic); ok && basic.Kind() == types.Bool {
				yes = now.clone()
				yes[e.Sel.Name] = map[int64]bool{1: true}
				return yes, now
			}
		}
	case *ast.CallExpr: // of a function that is one condition
		if f := g.functions[g.callee(e)]; f != nil && f.Body != nil && len(f.Body.List) == 1 {
			if s, ok := f.Body.List[0].(*ast.ReturnStmt); ok && len(s.Results) == 1 {
				return g.condition(s.Results[0], now)
			}
		}
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND:
			yes, no = g.condition(e.X, now)
			both, second := g.condition(e.Y, yes)
			return both, no.join(second)
		case token.LOR:
			yes, no = g.condition(e.X, now)
			second, neither := g.condition(e.Y, no)
			return yes.join(second), neither
		case token.EQL, token.NEQ:
			if kind, value, ok := g.kernel(e.Y); ok {
				yes, no = g.compare(now, kind, value)
				if e.Op == token.NEQ {
					yes, no = no, yes
				}
				return yes, no
			}
		}
	}
	return now, now
}

// callee is the function that is called, if it has a name.
func (g *guards) callee(e *ast.CallExpr) types.Object {
	switch f := e.Fun.(type) {
	case *ast.Ident:
		return g.info.Uses[f]
	case *ast.SelectorExpr:
		return g.info.Uses[f.Sel]
	}
	return nil
}

func (g *guards) compare(now kinds, kind string, value int64) (yes, no kinds) {
	yes, no = now.clone(), now.clone()
	yes[kind] = map[int64]bool{value: true}
	if no[kind] == nil {
		no[kind] = maps.Clone(g.all[kind])
	}
	delete(no[kind], value)
	return yes, no
}

// kernel is the constant that an expression is, if it is one of a micro-kernel.
func (g *guards) kernel(e ast.Expr) (kind string, value int64, ok bool) {
	v := g.info.Types[e]
	named, isNamed := v.Type.(*types.Named)
	if v.Value == nil || !isNamed || g.all[named.Obj().Name()] == nil {
		return "", 0, false
	}
	value, _ = constant.Int64Val(v.Value)
	return named.Obj().Name(), value, true
}

// leaves reports whether a statement leaves the list it is in.
func leaves(list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	switch s := list[len(list)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		name, ok := call.Fun.(*ast.Ident)
		return ok && name.Name == "panic"
	}
	return false
}

func (g *guards) list(list []ast.Stmt, now kinds) {
	for _, s := range list {
		now = g.statement(s, now)
	}
}

// statement records the calls in a statement and gives what may be after it.
func (g *guards) statement(s ast.Stmt, now kinds) kinds {
	switch s := s.(type) {
	case *ast.BlockStmt:
		g.list(s.List, now)
	case *ast.IfStmt:
		if s.Init != nil {
			g.calls(s.Init, now)
		}
		g.calls(s.Cond, now)
		yes, no := g.condition(s.Cond, now)
		g.list(s.Body.List, yes)
		if s.Else != nil {
			g.statement(s.Else, no)
		} else if leaves(s.Body.List) {
			return no
		}
	case *ast.SwitchStmt:
		var last []ast.Stmt
		isLast := false
		for _, clause := range s.Body.List {
			c := clause.(*ast.CaseClause)
			if c.List == nil {
				last, isLast = c.Body, true
				continue
			}
			yes := kinds(nil)
			for _, e := range c.List {
				var one kinds
				if s.Tag == nil {
					g.calls(e, now)
					one, now = g.condition(e, now)
				} else if kind, value, ok := g.kernel(e); ok {
					one, now = g.compare(now, kind, value)
				} else {
					one = now
				}
				if yes == nil {
					yes = one
				} else {
					yes = yes.join(one)
				}
			}
			g.list(c.Body, yes)
		}
		if isLast {
			g.list(last, now)
		}
		return kinds{} // which clause it was is forgotten
	case *ast.ForStmt:
		for _, part := range []ast.Node{s.Init, s.Cond, s.Post} {
			g.calls(part, now)
		}
		g.list(s.Body.List, now)
	case *ast.RangeStmt:
		g.calls(s.X, now)
		g.list(s.Body.List, now)
	default:
		g.calls(s, now)
	}
	return now
}

// calls records what functions called in an expression or a simple statement may rely on.
func (g *guards) calls(n ast.Node, now kinds) {
	if n == nil {
		return
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			g.list(n.Body.List, now)
			return false
		case *ast.Ident: // a call, or a function's value, which may be called from anywhere
			if f, ok := g.info.Uses[n].(*types.Func); ok && g.functions[f] != nil {
				g.enter(f, now)
			}
		}
		return true
	})
}

func (g *guards) enter(f types.Object, now kinds) {
	before, known := g.entries[f]
	after := now
	if known {
		after = before.join(now)
	}
	if !known || !after.equal(before) {
		g.entries[f] = after.clone()
		g.changed = true
	}
}

// newGuards reads the package as it is built for this machine.
func newGuards(t *testing.T) *guards {
	t.Helper()
	set := token.NewFileSet()
	other := map[string]string{"amd64": "_arm64.go", "arm64": "_amd64.go"}[runtime.GOARCH]
	packages, err := parser.ParseDir(set, ".", func(f fs.FileInfo) bool {
		return !strings.HasSuffix(f.Name(), "_test.go") && !strings.HasSuffix(f.Name(), "_none.go") && !strings.HasSuffix(f.Name(), other)
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	g := &guards{info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}},
		all: kinds{}, functions: map[types.Object]*ast.FuncDecl{}, entries: map[types.Object]kinds{}}
	var files []*ast.File
	for _, name := range slices.Sorted(maps.Keys(packages["kernel"].Files)) {
		files = append(files, packages["kernel"].Files[name])
	}
	// What other packages declare is of no interest, and errors about it are not.
	checker := types.Config{Importer: emptyImporter{}, Error: func(error) {}}
	p, _ := checker.Check("kernel", set, files, g.info)
	for _, name := range p.Scope().Names() {
		c, ok := p.Scope().Lookup(name).(*types.Const)
		if !ok {
			continue
		}
		if named, ok := c.Type().(*types.Named); ok && strings.HasSuffix(named.Obj().Name(), "Kernel") {
			kind := named.Obj().Name()
			if g.all[kind] == nil {
				g.all[kind] = map[int64]bool{}
			}
			if v, _ := constant.Int64Val(c.Val()); v != 0 {
				g.all[kind][v] = true
			}
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				g.functions[g.info.Defs[d.Name]] = d
				if d.Name.IsExported() {
					g.entries[g.info.Defs[d.Name]] = kinds{}
				}
			}
		}
	}
	for g.changed = true; g.changed; {
		g.changed = false
		for f, d := range g.functions {
			entry, called := g.entries[f]
			if d.Body == nil || !called {
				continue
			}
			entry = entry.clone()
			if d.Recv != nil { // a method of a kernel is called only if there is one
				if named, ok := g.info.TypeOf(d.Recv.List[0].Type).(*types.Named); ok && g.all[named.Obj().Name()] != nil && entry[named.Obj().Name()] == nil {
					entry[named.Obj().Name()] = maps.Clone(g.all[named.Obj().Name()])
				}
			}
			g.list(d.Body.List, entry)
		}
	}
	return g
}

// emptyImporter gives packages without declarations; unsafe is real.
type emptyImporter struct{}

func (emptyImporter) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return importer.Default().Import(path)
	}
	p := types.NewPackage(path, path[strings.LastIndexByte(path, '/')+1:])
	p.MarkComplete()
	return p, nil
}

// tiersOf are the tiers at which the tables have a constant, by its kind and value.
func tiersOf() map[string]map[int64][]cpu.Tier {
	tiers := map[string]map[int64][]cpu.Tier{"tileKernel": {}, "stripKernel": {}, "vectorKernel": {}, "amxKernel": {}}
	add := func(kind string, value int64, tier cpu.Tier) { tiers[kind][value] = append(tiers[kind][value], tier) }
	for _, r := range gemmInt8Table {
		add("tileKernel", int64(r.tile), r.Tier)
		add("amxKernel", int64(r.amx), r.Tier)
	}
	for _, r := range gemmF32Table {
		add("tileKernel", int64(r.tile), r.Tier)
	}
	for _, r := range depthwiseInt8Table {
		add("stripKernel", int64(r.strip), r.Tier)
	}
	for _, r := range depthwiseF32Table {
		add("stripKernel", int64(r.strip), r.Tier)
	}
	for _, r := range vectorTable {
		add("vectorKernel", int64(r.vector.kernel), r.Tier)
	}
	return tiers
}

// Every call of a micro-kernel lies behind conditions that only tiers meet that have its instructions. That plain Go
// does not get to them is shown by tests on a processor without any: .ci/run emulates some.
func TestGuardsDominateCalls(t *testing.T) {
	if _, err := os.Stat("dispatch_test.go"); err != nil {
		t.Skip("SKIP: the package's source is not here")
	}
	g := newGuards(t)
	tiers := tiersOf()
	for kind := range g.all {
		if tiers[kind] == nil {
			t.Errorf("no table is known for the kernels of type %s", kind)
		}
	}
	lowest := map[string]cpu.Tier{"amd64": cpu.Generic, "arm64": cpu.NEON}[runtime.GOARCH]
	micro := 0
	for f, d := range g.functions {
		if d.Body != nil {
			continue
		}
		micro++
		wants, ok := promised(f.Name())
		entry, called := g.entries[f]
		switch {
		case !ok:
			t.Errorf("%s does not name its instruction set", f.Name())
		case !called:
			t.Errorf("%s is never called", f.Name())
		case wants.bytePermutations && entry["bytePermutations"] == nil:
			t.Errorf("%s is called where nobody asked for permutations of bytes", f.Name())
		}
		guarded := lowest.Includes(wants.tier)
		var which []string
		for kind, values := range entry {
			if flagTiers[kind] != cpu.Generic {
				guarded = guarded || flagTiers[kind].Includes(wants.tier)
				continue
			}
			enough, some := true, false
			for value := range values {
				for _, tier := range tiers[kind][value] {
					some = true
					enough = enough && tier.Includes(wants.tier)
				}
			}
			if some {
				which = append(which, kind)
				guarded = guarded || enough
			}
		}
		if called && !guarded {
			t.Errorf("%s, which wants %v, is called at other tiers too; guards: %v %v (a new field that guards kernels belongs to flagTiers)", f.Name(), wants.tier, which, entry)
		}
	}
	t.Logf("%d micro-kernels", micro)
	if micro < 20 {
		t.Error("there should be more")
	}
}
