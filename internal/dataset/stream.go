package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/octet-nn/octet/tensor"
)

// source is where the samples of a Dataset come from.
type source interface {
	len() int
	id(i int) string
	// open starts a pass.
	open() (reader, error)
}

// reader is one pass over a source. The bytes of samples are fetched one after the other, in increasing order of
// index, and decoded side by side.
type reader interface {
	fetch(i int) (payload, error)
	// decode may be called concurrently, also with fetch.
	decode(i int, p payload) (map[string]*tensor.Tensor, error)
	close() error
}

// payload is the bytes of one sample as they are in its files: one for each file.
type payload [][]byte

// unreadable marks an error of a file that a folder may do without.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// job is a sample on its way from fetch through decode to the consumer.
type job struct {
	index  int
	data   payload
	inputs map[string]*tensor.Tensor
	err    error
	done   chan struct{}
}

// All goes through the samples in the order of their names, decoding up to Workers of them ahead. Unreadable files of
// a folder are left out, see Skipped; it is an error if nothing is left.
func (d *Dataset) All(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		r, err := d.source.open()
		if err != nil {
			yield(Sample{}, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		jobs, finished := d.start(ctx, r)
		given, skipped := 0, 0
		var firstSkipped error
		complete := false
		defer func() {
			cancel()
			closeReader := func() {
				finished.Wait()
				r.close()
			}
			if complete {
				closeReader()
			} else {
				go closeReader() // a worker may be inside a long decode, for which who breaks off need not wait
			}
		}()
		for {
			j := next(ctx, jobs)
			if err := ctx.Err(); err != nil {
				yield(Sample{}, err)
				return
			}
			if j == nil {
				complete = true
				break
			}
			id := d.source.id(j.index)
			if j.err != nil {
				var u unreadable
				if errors.As(j.err, &u) {
					if skipped++; firstSkipped == nil {
						firstSkipped = fmt.Errorf("%s: %w", id, u.error)
					}
					d.skip(id, u.error)
					continue
				}
				yield(Sample{}, fmt.Errorf("samples %s: %s: %w", d.path, id, j.err))
				return
			}
			label := -1
			if d.labels != nil {
				label = d.labels(j.index)
			}
			given++
			if !yield(Sample{ID: id, Inputs: j.inputs, Label: label}, nil) {
				return
			}
		}
		if given == 0 && skipped > 0 {
			yield(Sample{}, fmt.Errorf("samples %s: none of %s could be read; the first: %w", d.path, plural(skipped, "file"), firstSkipped))
		}
	}
}

// next waits for the next decoded job; nil is the end, or that of ctx.
func next(ctx context.Context, jobs <-chan *job) *job {
	select {
	case <-ctx.Done():
		return nil
	case j := <-jobs:
		if j == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-j.done:
			return j
		}
	}
}

// start runs one goroutine that fetches and some that decode. Jobs come out of the channel in order; a nil job, from
// the closed channel, is the end. At most workers+1 samples are in
// memory beyond the consumer's.
func (d *Dataset) start(ctx context.Context, r reader) (<-chan *job, *sync.WaitGroup) {
	var running sync.WaitGroup
	ordered := make(chan *job, d.workers)
	work := make(chan *job)
	for range d.workers {
		running.Go(func() {
			for j := range work {
				j.inputs, j.err = r.decode(j.index, j.data)
				j.data = nil
				close(j.done)
			}
		})
	}
	running.Go(func() {
		defer close(ordered)
		defer close(work)
		for i := range d.Len() {
			j := &job{index: d.index(i), done: make(chan struct{})}
			select {
			case ordered <- j:
			case <-ctx.Done():
				return
			}
			if j.data, j.err = r.fetch(j.index); j.err != nil {
				close(j.done)
				continue
			}
			select {
			case work <- j:
			case <-ctx.Done():
				return
			}
		}
	})
	return ordered, &running
}
