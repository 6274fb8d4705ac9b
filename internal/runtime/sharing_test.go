package runtime

import (
	"testing"
	"time"
)

// Steps whose worth is not known are timed on one goroutine, and shared from then on only if they take long.
func TestMeasuredStepsAreSharedIfTheyTakeLong(t *testing.T) {
	for _, tc := range []struct {
		name    string
		sharing Sharing
		take    time.Duration // of a whole run
		shared  [trials + 2]bool
	}{
		{"large", Shared, 0, [trials + 2]bool{true, true, true, true, true}},
		{"small", Alone, 100 * worthSharing, [trials + 2]bool{}},
		{"measured, short", Measured, 0, [trials + 2]bool{}},
		{"measured, long", Measured, 100 * worthSharing, [trials + 2]bool{3: true, 4: true}},
	} {
		whole := false // one call had all tasks
		const tasks = 64
		plan := &Plan{Steps: []Step{{Sharing: tc.sharing, Bind: func(*Memory) Work {
			return Work{Tasks: tasks, Run: func(begin, end, worker int) {
				if worker == 0 {
					whole = end-begin == tasks
				}
				for start := time.Now(); time.Since(start) < tc.take; {
				}
			}}
		}}}}
		pool := NewPool(2)
		if !pool.Acquire() {
			t.Fatal("the pool has no workers")
		}
		a := newArena(plan, 2)
		for run, shared := range tc.shared {
			if err := a.execute(t.Context(), crew{pool: pool, shared: true}, nil); err != nil {
				t.Fatal(err)
			}
			if whole == shared {
				t.Errorf("%s: run %d shared is %v, want %v", tc.name, run, !whole, shared)
			}
		}
		pool.Release()
		pool.Close()
	}
}
