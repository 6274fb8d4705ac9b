package op

// elementwiseTable is the unary, binary and comparing operators, activations, softmax and reductions.
var elementwiseTable = append(named(), []func() Operator{
	func() Operator { return &LeakyRelu{Alpha: 0.01} },
	func() Operator { return &Elu{Alpha: 1, Gamma: 1, Scale: 1} },
	func() Operator { return &HardSigmoid{Alpha: 0.2, Beta: 0.5} },
	func() Operator { return &Gelu{} },
	func() Operator { return &Swish{Alpha: 1} },
	func() Operator { return &ThresholdedRelu{Alpha: 1} },
	func() Operator { return &Shrink{Lambd: 0.5} },
	func() Operator { return &Clip{} },
	func() Operator { return &PRelu{} },
	func() Operator { return &Add{} },
	func() Operator { return &Sub{} },
	func() Operator { return &Mul{} },
	func() Operator { return &Div{} },
	func() Operator { return &Pow{} },
	func() Operator { return &Mod{} },
	func() Operator { return &Max{} },
	func() Operator { return &Min{} },
	func() Operator { return &Sum{} },
	func() Operator { return &Mean{} },
	func() Operator { return &Not{} },
	func() Operator { return &BitwiseNot{} },
	func() Operator { return &BitShift{} },
	func() Operator { return &IsNaN{} },
	func() Operator { return &IsInf{DetectNegative: true, DetectPositive: true} },
	func() Operator { return &Where{} },
	func() Operator { return &Softmax{Axis: -1} },
	func() Operator { return &LogSoftmax{Axis: -1} },
	func() Operator { return &Hardmax{Axis: -1} },
	func() Operator { return &ArgMax{KeepDims: true} },
	func() Operator { return &CumSum{} },
	func() Operator { return &TopK{Axis: -1, Largest: true, Sorted: true} },
}...)

// named is the rows of operators whose name tells which member of a family they are.
func named() []func() Operator {
	var rows []func() Operator
	for _, f := range functions {
		rows = append(rows, func() Operator { return &Function{f} })
	}
	for _, r := range reductions {
		rows = append(rows, func() Operator { return NewReduce(r.name) })
	}
	for _, is := range comparisons {
		rows = append(rows, func() Operator { return &Comparison{is} })
	}
	for _, is := range bitwises {
		rows = append(rows, func() Operator { return &Bitwise{is} })
	}
	return rows
}
