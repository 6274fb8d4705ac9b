package runtime

import "testing"

// What the busiest of equally fast goroutines gets, over the mean, counted: at least 16 tasks a goroutine keep it below
// 1.15.
func TestPoolSharesEvenly(t *testing.T) {
	for _, threads := range []int{2, 4, 8, 16, 64} {
		for _, perThread := range []int{16, 17, 19, 24, 31, 50, 100, 333, 1000} {
			for _, tasks := range []int{perThread*threads - 1, perThread * threads, perThread*threads + 1} {
				for _, grain := range []int{0, 2, 7, 49, 400} {
					if most, mean := busiest(&Work{Tasks: tasks, Grain: grain}, threads), float64(tasks)/float64(threads); float64(most) > 1.15*mean {
						t.Errorf("%d tasks by %d, %d threads: %d tasks on one of them, %.1f on average", tasks, grain, threads, most, mean)
					}
				}
			}
		}
	}
}
