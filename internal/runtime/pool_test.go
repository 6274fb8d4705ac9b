package runtime

import (
	"sync/atomic"
	"testing"
)

func TestPoolDoesEveryTaskOnce(t *testing.T) {
	for _, threads := range []int{0, 1, 2, 5, 16} {
		p := NewPool(threads)
		owned := p.Acquire()
		if want := threads > 1; owned != want {
			t.Fatalf("%d threads: acquired %v, want %v", threads, owned, want)
		}
		for round := range 300 {
			tasks := round % 70
			counts := make([]atomic.Int32, tasks)
			var busy [16]atomic.Int32
			p.Do(&Work{Tasks: tasks, Grain: round % 3, Least: round % 5, Run: func(begin, end, worker int) {
				if busy[worker].Add(1) != 1 {
					t.Errorf("worker %d computes twice at the same time", worker)
				}
				for i := begin; i < end; i++ {
					counts[i].Add(1)
				}
				busy[worker].Add(-1)
			}})
			for i := range counts {
				if n := counts[i].Load(); n != 1 {
					t.Fatalf("%d threads, %d tasks: task %d ran %d times", threads, tasks, i, n)
				}
			}
		}
		if owned {
			if p.Acquire() {
				t.Error("a second owner acquired the pool")
			}
			p.Release()
		}
		p.Close()
		p.Close()
	}
}

func TestBuffersAreAligned(t *testing.T) {
	m := newMemory(&Plan{Bytes: 1000, Scratch: 10}, 3)
	if s := m.Scratch(10); len(s) != 3 || len(s[2]) != 10 {
		t.Errorf("scratch space %v", s)
	}
	if m.stride != Alignment || len(m.arena) != 1000 || Round(65) != 128 || Round(64) != 64 || Round(0) != 0 {
		t.Errorf("stride %d, arena %d", m.stride, len(m.arena))
	}
}
