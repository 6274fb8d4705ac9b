package runtime

import (
	"sync"
	"sync/atomic"
)

// Pool is a fixed set of goroutines that share the work of one step. They are started once and sleep between steps;
// giving them work neither allocates nor takes a lock that they contend for.
//
// A pool serves one run at a time: see Acquire.
type Pool struct {
	owner sync.Mutex
	wake  []chan struct{} // one per worker, each holding at most one signal
	done  chan struct{}   // the last worker to leave a closed job signals here

	// The job at hand. The fields are written before state opens and read by workers that have joined.
	run   func(begin, end, worker int)
	tasks int
	chunk int
	next  atomic.Int64 // first task that nobody has taken

	// state counts the workers that have joined the job at hand; jobClosed is subtracted from it while none may join.
	state atomic.Int64

	stop sync.Once
	gone sync.WaitGroup
}

const jobClosed = 1 << 32

// NewPool starts threads−1 goroutines; with the one that calls Do, threads of them compute.
func NewPool(threads int) *Pool {
	p := &Pool{wake: make([]chan struct{}, max(threads-1, 0)), done: make(chan struct{}, 1)}
	p.state.Store(-jobClosed)
	for i := range p.wake {
		p.wake[i] = make(chan struct{}, 1)
		p.gone.Add(1)
		go p.work(i + 1)
	}
	return p
}

// Threads is how many goroutines compute during Do, the caller's included.
func (p *Pool) Threads() int { return len(p.wake) + 1 }

// Acquire makes the caller the owner of the pool, if it has none. Only the owner may call Do; it must Release.
func (p *Pool) Acquire() bool { return len(p.wake) > 0 && p.owner.TryLock() }

// Release ends ownership.
func (p *Pool) Release() { p.owner.Unlock() }

// Close stops the goroutines and waits for them. Nobody may own the pool.
func (p *Pool) Close() {
	p.stop.Do(func() {
		for _, c := range p.wake {
			close(c)
		}
	})
	p.gone.Wait()
}

// Do computes tasks 0 … tasks−1, in any order and on any worker, and returns when all are done. run is called with
// ranges of tasks and the number of the worker, 0 … Threads()−1, by which it finds scratch memory of its own.
func (p *Pool) Do(tasks int, run func(begin, end, worker int)) {
	helpers := min(len(p.wake), tasks-1)
	if helpers <= 0 {
		run(0, tasks, 0)
		return
	}
	p.run, p.tasks = run, tasks
	p.chunk = max(1, tasks/(4*(helpers+1))) // small enough that a worker that wakes late still balances the load
	p.next.Store(0)
	p.state.Store(0)
	for _, c := range p.wake[:helpers] {
		select {
		case c <- struct{}{}:
		default: // it has a signal waiting already
		}
	}
	p.share(0)
	if p.state.Add(-jobClosed) != -jobClosed {
		<-p.done
	}
	p.run = nil
}

// work is the life of one worker.
func (p *Pool) work(worker int) {
	defer p.gone.Done()
	for range p.wake[worker-1] {
		if !p.join() {
			continue // woken too late: the others have finished the job
		}
		p.share(worker)
		if p.state.Add(-1) == -jobClosed {
			p.done <- struct{}{}
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
		begin := int(p.next.Add(int64(p.chunk))) - p.chunk
		if begin >= p.tasks {
			return
		}
		p.run(begin, min(begin+p.chunk, p.tasks), worker)
	}
}
