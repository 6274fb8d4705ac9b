package runtime

import "testing"

// What the busiest of equally fast goroutines gets, over the mean, counted: at least 16 tasks a goroutine keep it below
// 1.15.
func TestPoolSharesEvenly(t *testing.T) {
	for _, threads := range []int{2, 4, 8, 16, 64} {
		for _, perThread := range []int{16, 17, 19, 24, 31, 50, 100, 333, 1000} {
			for _, tasks := range []int{perThread*threads - 1, perThread * threads, perThread*threads + 1} {
				if most, mean := busiest(tasks, threads), float64(tasks)/float64(threads); float64(most) > 1.15*mean {
					t.Errorf("%d tasks, %d threads: %d tasks on one of them, %.1f on average", tasks, threads, most, mean)
				}
			}
		}
	}
}

// busiest is the most tasks of one goroutine if every task takes the same time and whoever is idle claims next.
func busiest(tasks, threads int) int {
	load := make([]int, threads)
	for begin := 0; begin < tasks; {
		idle := 0
		for i, n := range load {
			if n < load[idle] {
				idle = i
			}
		}
		n := claim(tasks-begin, tasks, threads)
		load[idle] += n
		begin += n
	}
	most := 0
	for _, n := range load {
		most = max(most, n)
	}
	return most
}
