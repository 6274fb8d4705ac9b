package runtime

import (
	"runtime"
	"slices"
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

	// The job at hand: written before state opens and read by workers that have joined. What one goroutine writes often has
	// cache lines of its own: fetching what another has just written takes as long as hundreds of multiply-accumulates.
	run   func(begin, end, worker int)
	least int // how many tasks are taken at once at least
	grain int
	jobs  atomic.Int64 // how many jobs there have been; a change tells waiting workers that there is one
	_     line
	spans []span // by worker: what is left of its part

	// state counts the workers that have joined the job at hand; jobClosed is subtracted from it while none may join.
	state atomic.Int64
	_     line

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

// line keeps what is before and behind it out of one cache line, or one pair of lines that are fetched together.
type line [128]byte

// spin is longer than the steps of a run that are not shared, and short beside what a run takes that is worth sharing.
// Time is told every looks looks, some hundred nanoseconds.
const (
	spin  = 100 * time.Microsecond
	looks = 500
)

// NewPool starts threads−1 goroutines; with the one that calls Do, threads of them compute.
func NewPool(threads int) *Pool {
	p := &Pool{workers: make([]worker, max(threads-1, 0)), spans: make([]span, max(threads, 1)), done: make(chan struct{}, 1)}
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

// Do runs the tasks of a piece of work, in any order and on any worker, and returns when all are done. Run is called with
// ranges of tasks and the number of the worker, 0 … Threads()−1, by which it finds scratch memory of its own.
// While there are enough, ranges are whole groups of Grain tasks, which are done sooner together.
//
// Every goroutine begins with a part of its own, the same of every job: tasks follow each other as they do in memory, so
// what it reads was mostly written by itself in the job before and is in its cache. Whoever is done with that helps.
func (p *Pool) Do(w *Work) {
	helpers := min(len(p.workers), w.Tasks-1)
	if helpers <= 0 {
		w.Run(0, w.Tasks, 0)
		return
	}
	p.run, p.grain, p.least = w.Run, w.Grain, divide(p.spans, helpers+1, w)
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

// share computes what is left of the worker's own part, then of the others'.
func (p *Pool) share(worker int) {
	for {
		begin, end := p.spans[worker].takeFirst(p.least, p.grain)
		if begin == end {
			break
		}
		p.run(begin, end, worker)
	}
	for {
		begin, end := help(p.spans, p.least, p.grain)
		if begin == end {
			return
		}
		p.run(begin, end, worker)
	}
}

// span is the tasks of a part that nobody has taken: first<<32 | end.
type span struct {
	left atomic.Uint64
	_    line
}

func (s *span) set(first, end int) { s.left.Store(uint64(first)<<32 | uint64(end)) }

// bounds is the first of the tasks that are left and the end of them.
func bounds(left uint64) (first, end int) { return int(left >> 32), int(uint32(left)) }

// divide gives each of the first parts goroutines a part of the tasks, whole groups of grain of them if there is one for
// everybody, and the others none. It returns how many tasks are taken at once at least, so that the calls themselves do
// not cost time.
func divide(spans []span, parts int, w *Work) (least int) {
	first, tasks, grain := 0, w.Tasks, w.Grain
	for i := range spans {
		end := tasks
		if i < parts-1 {
			end = (i + 1) * tasks / parts
			if grain > 1 && tasks >= 4*parts*grain {
				end = (end + grain/2) / grain * grain
			}
		}
		spans[i].set(first, end)
		first = end
	}
	return max(1, w.Least, tasks/(32*parts))
}

// claim is how many of the tasks that are left of a part are taken at once: half, so that there are few calls, but ever
// less, so that nobody is left with much while others have finished. It is whole grains while there are two.
func claim(left, least, grain int) int {
	n := min(left, max(left/2, least))
	if grain > 1 && left >= 2*grain {
		n = max(n/grain, 1) * grain
	}
	return n
}

// takeFirst takes tasks from the front; none if none are left.
func (s *span) takeFirst(least, grain int) (begin, end int) {
	for {
		left := s.left.Load()
		first, last := bounds(left)
		if first == last {
			return 0, 0
		}
		begin, end = first, first+claim(last-first, least, grain)
		if s.left.CompareAndSwap(left, uint64(end)<<32|uint64(last)) {
			return begin, end
		}
	}
}

// help takes tasks from the end of the part of which most is left; none if nothing is left of any.
func help(spans []span, least, grain int) (begin, end int) {
	for {
		var most *span
		var left uint64
		first, last := 0, 0
		for i := range spans {
			l := spans[i].left.Load()
			if f, e := bounds(l); e-f > last-first {
				most, left, first, last = &spans[i], l, f, e
			}
		}
		if most == nil {
			return 0, 0
		}
		begin, end = last-claim(last-first, least, grain), last
		if most.left.CompareAndSwap(left, uint64(first)<<32|uint64(begin)) {
			return begin, end
		}
	}
}

// busiest is the most tasks of one goroutine if every task takes the same time and whoever is idle claims next.
func busiest(w *Work, threads int) int {
	spans, load := make([]span, threads), make([]int, threads)
	least := divide(spans, threads, w)
	for {
		idle := 0
		for i, n := range load {
			if n < load[idle] {
				idle = i
			}
		}
		begin, end := spans[idle].takeFirst(least, w.Grain)
		if begin == end {
			begin, end = help(spans, least, w.Grain)
		}
		if begin == end {
			return slices.Max(load)
		}
		load[idle] += end - begin
	}
}
