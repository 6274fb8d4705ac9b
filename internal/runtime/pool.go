package runtime

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is a fixed set of goroutines that share the work of one step. They are started once. Between steps they look out
// for work for a short time, then sleep: a run has a step every few microseconds, and waking a goroutine takes as long.
// Giving them work neither allocates nor takes a lock that they contend for.
//
// A pool serves one run at a time: see Acquire.
type Pool struct {
	owner   sync.Mutex
	workers []worker
	spin    time.Duration // for how long a waiting goroutine looks before it sleeps

	// The job at hand. The fields are written before state opens and read by workers that have joined.
	run   func(begin, end, worker int)
	tasks int
	grain int
	next  atomic.Int64 // first task that nobody has taken

	// state counts the workers that have joined the job at hand; jobClosed is subtracted from it while none may join.
	state atomic.Int64
	jobs  atomic.Int64 // how many jobs there have been; a change tells waiting workers that there is one

	waiting atomic.Bool   // the owner sleeps until the last worker leaves the job
	done    chan struct{} // and is woken by this

	closed atomic.Bool
	stop   sync.Once
	gone   sync.WaitGroup
}

// worker is a goroutine of a pool.
type worker struct {
	asleep atomic.Bool
	wake   chan struct{} // holds at most one signal
}

const jobClosed = 1 << 32

// spin is longer than the steps of a run that are not shared, and short beside what a run takes that is worth sharing.
// Time is told every looks looks, some hundred nanoseconds.
const (
	spin  = 100 * time.Microsecond
	looks = 500
)

// NewPool starts threads−1 goroutines; with the one that calls Do, threads of them compute.
func NewPool(threads int) *Pool {
	p := &Pool{workers: make([]worker, max(threads-1, 0)), done: make(chan struct{}, 1)}
	if threads <= runtime.GOMAXPROCS(0) { // else whoever looks out keeps another from working
		p.spin = spin
	}
	p.state.Store(-jobClosed)
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		p.gone.Add(1)
		go p.work(i + 1)
	}
	return p
}

// Threads is how many goroutines compute during Do, the caller's included.
func (p *Pool) Threads() int { return len(p.workers) + 1 }

// Acquire makes the caller the owner of the pool, if it has none. Only the owner may call Do; it must Release.
func (p *Pool) Acquire() bool { return len(p.workers) > 0 && p.owner.TryLock() }

// Release ends ownership.
func (p *Pool) Release() { p.owner.Unlock() }

// Close stops the goroutines and waits for them. Nobody may own the pool.
func (p *Pool) Close() {
	p.stop.Do(func() {
		p.closed.Store(true)
		for i := range p.workers {
			close(p.workers[i].wake)
		}
	})
	p.gone.Wait()
}

// Do computes tasks 0 … tasks−1, in any order and on any worker, and returns when all are done. run is called with
// ranges of tasks and the number of the worker, 0 … Threads()−1, by which it finds scratch memory of its own.
// While there are enough, ranges are whole groups of grain tasks, which are done sooner together.
func (p *Pool) Do(tasks, grain int, run func(begin, end, worker int)) {
	helpers := min(len(p.workers), tasks-1)
	if helpers <= 0 {
		run(0, tasks, 0)
		return
	}
	p.run, p.tasks, p.grain = run, tasks, grain
	p.next.Store(0)
	p.state.Store(0)
	p.jobs.Add(1)
	for i := range p.workers[:helpers] {
		if w := &p.workers[i]; w.asleep.Load() {
			select {
			case w.wake <- struct{}{}:
			default: // it has a signal waiting already
			}
		}
	}
	p.share(0)
	if p.state.Add(-jobClosed) != -jobClosed {
		p.await()
	}
	p.run = nil
}

// await returns when the last worker has left a closed job.
func (p *Pool) await() {
	for begin := time.Now(); time.Since(begin) < p.spin; {
		for range looks {
			if p.state.Load() == -jobClosed {
				return
			}
		}
	}
	p.waiting.Store(true)
	if p.state.Load() == -jobClosed && p.waiting.CompareAndSwap(true, false) {
		return // the last worker has not seen that somebody waits
	}
	<-p.done
}

// work is the life of one worker.
func (p *Pool) work(number int) {
	defer p.gone.Done()
	w := &p.workers[number-1]
	seen := int64(0)
	for {
		jobs, ok := p.look(w, seen)
		if !ok {
			return
		}
		seen = jobs
		if !p.join() {
			continue // too late: the others have finished the job
		}
		p.share(number)
		if p.state.Add(-1) == -jobClosed && p.waiting.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}
}

// look waits until there has been another job; ok is false when the pool closes.
func (p *Pool) look(w *worker, seen int64) (jobs int64, ok bool) {
	for {
		for begin := time.Now(); time.Since(begin) < p.spin; {
			for range looks {
				if jobs = p.jobs.Load(); jobs != seen {
					return jobs, true
				}
			}
		}
		w.asleep.Store(true)
		// Whoever gives work counts the job before it looks for sleepers, so one of the two sees the other.
		if p.jobs.Load() == seen && !p.closed.Load() {
			<-w.wake
		}
		w.asleep.Store(false)
		if jobs = p.jobs.Load(); jobs != seen {
			return jobs, true
		}
		if p.closed.Load() {
			return 0, false
		}
	}
}

// join enters the job at hand unless it is closed.
func (p *Pool) join() bool {
	for {
		s := p.state.Load()
		if s < 0 {
			return false
		}
		if p.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

// share takes tasks until none are left.
func (p *Pool) share(worker int) {
	for {
		begin := p.next.Load()
		if begin >= int64(p.tasks) {
			return
		}
		n := claim(p.tasks-int(begin), p.tasks, len(p.workers)+1, p.grain)
		if p.next.CompareAndSwap(begin, begin+int64(n)) {
			p.run(int(begin), int(begin)+n, worker)
		}
	}
}

// claim is how many of the tasks that are left a goroutine takes at once: half of its share, so that there are few
// calls, but ever less, so that nobody is left with much while others have finished; and not so few that the calls
// themselves cost time. While there is a grain for everybody, it is whole grains.
func claim(left, tasks, threads, grain int) int {
	n := min(left, max(1, left/(2*threads), tasks/(32*threads)))
	if grain > 1 && left >= threads*grain {
		n = max(n/grain, 1) * grain
	}
	return n
}

// busiest is the most tasks of one goroutine if every task takes the same time and whoever is idle claims next.
func busiest(tasks, threads, grain int) int {
	load := make([]int, threads)
	for begin := 0; begin < tasks; {
		idle := 0
		for i, n := range load {
			if n < load[idle] {
				idle = i
			}
		}
		n := claim(tasks-begin, tasks, threads, grain)
		load[idle] += n
		begin += n
	}
	most := 0
	for _, n := range load {
		most = max(most, n)
	}
	return most
}
