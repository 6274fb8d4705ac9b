package runtime

import "testing"

// BenchmarkPool is what it costs to share work that takes no time.
func BenchmarkPool(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	p.Acquire()
	defer p.Release()
	w := Work{Tasks: 8, Run: func(int, int, int) {}}
	for b.Loop() {
		p.Do(&w)
	}
}
