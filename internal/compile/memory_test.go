package compile

import (
	"testing"

	"github.com/octet-nn/octet/internal/runtime"
	"pgregory.net/rapid"
)

func TestLayOutReusesMemory(t *testing.T) {
	// A chain: each value dies when the next but one is made, so two places suffice.
	chain := []*storage{
		{size: 100, first: -1, last: 0}, {size: 200, first: 0, last: 1}, {size: 100, first: 1, last: 2}, {size: 200, first: 2, last: 3},
	}
	total, err := layOut(chain, 1<<20)
	if err != nil || total != runtime.Round(200)+runtime.Round(200)-runtime.Round(200)+runtime.Round(100) {
		t.Errorf("arena of %d bytes, %v", total, err)
	}
	if _, err := layOut(chain, 300); err == nil {
		t.Error("no error for an arena beyond the limit")
	}
}

func TestLayOutNeverOverlaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		storages := make([]*storage, rapid.IntRange(0, 30).Draw(t, "count"))
		for i := range storages {
			first := rapid.IntRange(-1, 40).Draw(t, "first")
			storages[i] = &storage{
				size: rapid.IntRange(0, 1000).Draw(t, "size"), first: first, last: first + rapid.IntRange(0, 10).Draw(t, "life"),
			}
		}
		total, err := layOut(storages, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range storages {
			if a.offset%runtime.Alignment != 0 || a.offset < 0 || a.offset+a.size > total {
				t.Fatalf("storage %+v in an arena of %d bytes", a, total)
			}
			for _, b := range storages[:i] {
				live := a.first <= b.last && b.first <= a.last
				if live && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Fatalf("%+v and %+v overlap", a, b)
				}
			}
		}
	})
}
