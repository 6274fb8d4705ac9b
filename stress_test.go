//go:build unix

package octet

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/tensor"
)

var stressFlag = flag.Duration("stress", time.Second, "how long TestStress runs")

// TestStress runs models at every tier on many goroutines while everything happens that can happen to one: garbage
// collections, signals, a profiler, stacks that grow and are moved, threads that are born and die. Each result is
// compared with what one run alone gave.
func TestStress(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), *stressFlag)
	defer cancel()
	type work struct {
		tier    cpu.Tier
		session *Session
		in      map[string]*tensor.Tensor
		want    []float32
	}
	var all []work
	for _, path := range []string{filepath.Join("cmd", "octet", "assets", "kws.onnx"), filepath.Join("testdata", "kws.int8.onnx")} {
		m, err := Load(path, LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.New(tensor.Float32, 1, 49, 10, 1)
		for i := range tensor.Values[float32](x) {
			tensor.Values[float32](x)[i] = float32(i%83 - 40)
		}
		for _, tier := range cpu.Available() {
			t.Setenv(cpu.Variable, tier.String())
			for _, threads := range []int{1, 3} {
				session, err := m.Compile(CompileOptions{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close()
				w := work{tier: tier, session: session, in: map[string]*tensor.Tensor{m.Inputs()[0].Name: x}}
				out, err := session.Run(t.Context(), w.in)
				if err != nil {
					t.Fatal(err)
				}
				w.want = valuesOf([]map[string]*tensor.Tensor{out})
				all = append(all, w)
			}
		}
	}

	defer debug.SetGCPercent(debug.SetGCPercent(20))
	if profile, err := os.Create(filepath.Join(t.TempDir(), "profile")); err != nil {
		t.Fatal(err)
	} else if err := pprof.StartCPUProfile(profile); err != nil {
		t.Logf("no profile is taken: %v", err) // go test -cpuprofile takes one already
	} else {
		defer pprof.StopCPUProfile()
	}
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGUSR1)
	defer signal.Stop(received)

	var runs, wrong, signals, collections, threads atomic.Int64
	check := func(w *work) {
		out, err := w.session.Run(ctx, w.in)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("%v: %v", w.tier, err)
			}
			return
		}
		runs.Add(1)
		if !slices.Equal(valuesOf([]map[string]*tensor.Tensor{out}), w.want) {
			wrong.Add(1)
		}
	}
	var group sync.WaitGroup
	during := func(pause time.Duration, f func(i int)) {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				f(i)
				time.Sleep(pause)
			}
		})
	}
	for g := range 6 {
		during(0, func(i int) { check(&all[(g+i)%len(all)]) })
	}
	for g := range 2 {
		during(0, func(i int) { deep(200+i%100, func() { check(&all[(g+i)%len(all)]) }) })
	}
	during(time.Millisecond, func(int) { runtime.GC(); collections.Add(1) })
	during(200*time.Microsecond, func(int) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Error(err)
		}
	})
	group.Go(func() {
		for {
			select {
			case <-received:
				signals.Add(1)
			case <-ctx.Done():
				return
			}
		}
	})
	during(time.Millisecond, func(i int) { // a goroutine that ends without unlocking its thread takes it along
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			check(&all[i%len(all)])
			threads.Add(1)
		}()
		<-done
	})
	group.Wait()
	t.Logf("%v: %d runs, %d wrong; %d collections, %d signals, %d threads", *stressFlag, runs.Load(), wrong.Load(),
		collections.Load(), signals.Load(), threads.Load())
	if wrong.Load() > 0 {
		t.Errorf("%d of %d results are wrong", wrong.Load(), runs.Load())
	}
	if runs.Load() == 0 || collections.Load() == 0 || signals.Load() == 0 || threads.Load() == 0 {
		t.Error("nothing was tried")
	}
}

// deep calls a function from far down a fresh stack, which has to grow, and leaves garbage behind.
//
//go:noinline
func deep(depth int, f func()) {
	var frame [512]byte
	if depth == 0 {
		f()
		return
	}
	frame[depth%len(frame)] = byte(depth)
	garbage := make([]byte, 1<<10)
	deep(depth-1, f)
	garbage[0] = frame[0]
}
