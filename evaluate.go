package octet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/quantize"
	"github.com/octet-nn/octet/tensor"
)

// EvaluateOptions say how models are compared; the zero value is the default.
type EvaluateOptions struct {
	// Workers is how many samples are run at the same time; 0 means one per processor. Results do not depend on it.
	Workers int
	// Output names the output that answers; "" means the first.
	Output string
	// Reference runs the models in the reference interpreter.
	Reference bool
	// Progress, if given, is told how many samples have been run.
	Progress Progress
}

// ModelEvaluation is how one model did. Fractions are 0…1; those that could not be measured (no labels, fewer than
// two answers) are NaN.
type ModelEvaluation struct {
	Path string // of the model file; "" for a model made in memory
	N    int    // samples that were run
	// Labeled is how many of them had a label.
	Labeled int
	Top1    float64 // share of the labeled samples whose label is the answer
	Top5    float64 // share of the labeled samples whose label is among the five best answers
	// Top1Interval is the 95 % Wilson score interval of Top1.
	Top1Interval [2]float64
	// Agreement is the share of samples with the same first answer as the first model.
	Agreement float64
	// AgreementInterval is the 95 % Wilson score interval of Agreement.
	AgreementInterval [2]float64
	// Drop is the first model's Top1 minus this one's.
	Drop float64
	// DropInterval is the 95 % interval of Drop for paired answers (Agresti and Min 2005).
	DropInterval [2]float64
	// SQNR is 10·log10(Σ reference² / Σ (reference − this)²) in dB over all outputs' elements, the first model being
	// the reference; +Inf where they are equal.
	SQNR float64
}

// Evaluation is how several models did on the same samples.
type Evaluation struct {
	Models  []ModelEvaluation // in the order in which the models were given
	Classes int               // number of answers of the output; 0 if it differs between samples
}

// Evaluate runs every model on every sample and compares them with the labels and with the first model. The answer of
// a model is the index of the largest element of the output.
func Evaluate(ctx context.Context, models []*Model, s Samples, o EvaluateOptions) (*Evaluation, error) {
	if len(models) == 0 {
		return nil, fmt.Errorf("evaluate: no models")
	}
	workers := o.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	e := &evaluator{options: o, scores: make([]score, len(models))}
	for _, m := range models {
		session, err := m.Compile(CompileOptions{Threads: 1, Reference: o.Reference})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.describe(), err)
		}
		defer session.Close()
		output := o.Output
		if output == "" {
			output = session.Outputs()[0].Name
		}
		if !slices.ContainsFunc(session.Outputs(), func(v ValueInfo) bool { return v.Name == output }) {
			return nil, fmt.Errorf("%s has no output %q", m.describe(), output)
		}
		e.models = append(e.models, evaluated{m, session, output})
	}
	if err := e.run(ctx, s, workers); err != nil {
		return nil, err
	}
	return e.result(), nil
}

type evaluated struct {
	model   *Model
	session *Session
	output  string
}

// score adds up one model's answers. All of it is integers but the error sums, which are added in the samples' order.
type score struct {
	labeled, top1, top5, agree int
	onlyFirst, onlyThis        int // right answers of one of the two models only
	signal, noise              float64
}

type evaluator struct {
	models  []evaluated
	options EvaluateOptions
	scores  []score
	n       int
	classes int
	uneven  bool
}

// answer is what one model said to one sample.
type answer struct {
	values []float32
	best   []int // indices of the five largest values
}

// run feeds samples to workers and adds up their answers in the order of the samples, so that results do not depend
// on who was faster.
func (e *evaluator) run(ctx context.Context, s Samples, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type job struct {
		sample  Sample
		answers chan []answer
	}
	work := make(chan job)
	inOrder := make(chan job, 2*workers)
	go func() {
		defer close(work)
		defer close(inOrder)
		for sample, err := range s.All(ctx) {
			if err != nil {
				cancel(err)
				return
			}
			j := job{sample, make(chan []answer, 1)}
			select {
			case inOrder <- j:
			case <-ctx.Done():
				return
			}
			select {
			case work <- j:
			case <-ctx.Done():
				return
			}
		}
	}()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for j := range work {
				answers, err := e.ask(ctx, j.sample)
				if err != nil {
					cancel(fmt.Errorf("sample %q: %w", j.sample.ID, err))
					return
				}
				j.answers <- answers
			}
		})
	}
	total := s.Len()
	for j := range inOrder {
		select {
		case answers := <-j.answers:
			if err := e.add(j.sample, answers); err != nil {
				cancel(err)
			}
			if e.options.Progress != nil {
				e.options.Progress(e.n, total)
			}
		case <-ctx.Done():
		}
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if e.n == 0 {
		return errors.New("evaluate: there are no samples")
	}
	return nil
}

func (e *evaluator) ask(ctx context.Context, s Sample) ([]answer, error) {
	answers := make([]answer, len(e.models))
	for i, m := range e.models {
		inputs := s.Inputs
		if i > 0 {
			inputs = translated(inputs, m.session.Inputs(), e.models[0].session.Inputs())
		}
		out, err := m.session.Run(ctx, inputs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.model.describe(), err)
		}
		for _, v := range m.session.Outputs() {
			if v.Name == m.output {
				answers[i].values = realValues(out[m.output], v.Quantization)
			}
		}
		answers[i].best = top(answers[i].values, 5)
	}
	return answers, nil
}

// translated makes tensors for the first model's inputs tensors for another model's: by name, or by position where
// names differ, and as codes where one model takes codes and the other real numbers.
func translated(in map[string]*tensor.Tensor, inputs, firstInputs []ValueInfo) map[string]*tensor.Tensor {
	if len(inputs) != len(firstInputs) {
		return in
	}
	out := map[string]*tensor.Tensor{}
	for i, v := range inputs {
		source := i
		if at := slices.IndexFunc(firstInputs, func(f ValueInfo) bool { return f.Name == v.Name }); at >= 0 {
			source = at
		}
		if t := in[firstInputs[source].Name]; t != nil {
			out[v.Name] = v.represent(t, firstInputs[source])
		}
	}
	return out
}

// realValues are the real numbers of an output, dequantized if it is quantized.
func realValues(t *tensor.Tensor, q *Quantization) []float32 {
	wide := op.Float64s(t)
	values := make([]float32, len(wide))
	for i, v := range wide {
		if q != nil && len(q.Scale) == 1 {
			v = (v - float64(q.ZeroPoint[0])) * float64(q.Scale[0])
		}
		values[i] = float32(v)
	}
	return values
}

// top is the indices of the n largest values, largest first, ties to the lower index; NaN is never among them unless
// nothing else is left.
func top(values []float32, n int) []int {
	var best []int
	for i, v := range values {
		at := len(best)
		for at > 0 && (v > values[best[at-1]] || values[best[at-1]] != values[best[at-1]] && v == v) {
			at--
		}
		if at < n {
			best = slices.Insert(best, at, i)
			best = best[:min(n, len(best))]
		}
	}
	return best
}

func (e *evaluator) add(s Sample, answers []answer) error {
	first := answers[0]
	if e.n == 0 {
		e.classes = len(first.values)
	}
	e.uneven = e.uneven || len(first.values) != e.classes
	e.n++
	right := func(a answer) bool { return len(a.best) > 0 && a.best[0] == s.Label }
	for i, a := range answers {
		if len(a.values) != len(first.values) {
			return fmt.Errorf("sample %q: %s gives %d values, %s gives %d: they do not answer the same question",
				s.ID, e.models[0].model.describe(), len(first.values), e.models[i].model.describe(), len(a.values))
		}
		sc := &e.scores[i]
		if len(a.best) > 0 && a.best[0] == first.best[0] {
			sc.agree++
		}
		signal, noise := quantize.SignalAndNoise(first.values, a.values)
		sc.signal += signal
		sc.noise += noise
		if s.Label < 0 {
			continue
		}
		sc.labeled++
		if right(a) {
			sc.top1++
		}
		if slices.Contains(a.best, s.Label) {
			sc.top5++
		}
		if right(first) && !right(a) {
			sc.onlyFirst++
		}
		if !right(first) && right(a) {
			sc.onlyThis++
		}
	}
	return nil
}

func (e *evaluator) result() *Evaluation {
	out := &Evaluation{Classes: e.classes}
	if e.uneven {
		out.Classes = 0
	}
	for i, sc := range e.scores {
		m := ModelEvaluation{Path: e.models[i].model.path, N: e.n, Labeled: sc.labeled}
		m.Top1 = float64(sc.top1) / float64(sc.labeled)
		m.Top5 = float64(sc.top5) / float64(sc.labeled)
		m.Top1Interval = wilson(sc.top1, sc.labeled)
		m.Agreement = float64(sc.agree) / float64(e.n)
		m.AgreementInterval = wilson(sc.agree, e.n)
		m.Drop, m.DropInterval = pairedDrop(sc.onlyFirst, sc.onlyThis, sc.labeled)
		m.SQNR = math.Inf(1)
		if sc.noise > 0 {
			m.SQNR = 10 * math.Log10(sc.signal/sc.noise)
		}
		out.Models = append(out.Models, m)
	}
	return out
}

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959964

// wilson is the 95 % score interval of a share of k in n (Wilson 1927); NaNs if n is 0.
func wilson(k, n int) [2]float64 {
	if n == 0 {
		return [2]float64{math.NaN(), math.NaN()}
	}
	p, m := float64(k)/float64(n), float64(n)
	center := p + z95*z95/(2*m)
	spread := z95 * math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	scale := 1 + z95*z95/m
	return [2]float64{max((center-spread)/scale, 0), min((center+spread)/scale, 1)}
}

// pairedDrop is the difference of two shares of the same n answers and its 95 % interval: a answers were right only
// with the first model, b only with the second (Wald interval of paired proportions with one half added to a and b;
// Agresti and Min 2005).
func pairedDrop(a, b, n int) (drop float64, interval [2]float64) {
	if n == 0 {
		return math.NaN(), [2]float64{math.NaN(), math.NaN()}
	}
	drop = float64(a-b) / float64(n)
	x, y, m := float64(a)+0.5, float64(b)+0.5, float64(n)+2
	center := (x - y) / m
	spread := z95 * math.Sqrt((x+y)-(x-y)*(x-y)/m) / m
	return drop, [2]float64{center - spread, center + spread}
}
