package op

// composedTable is operators that networks of attention, recurrent networks, detectors and signal processing use.
var composedTable = append([]func() Operator{
	func() Operator { return &Attention{LeftWindowSize: -1, RightWindowSize: -1} },
	func() Operator { return &RotaryEmbedding{} },
	func() Operator { return &FlexAttention{} },
	func() Operator { return &If{} },
	func() Operator { return &Loop{} },
	func() Operator { return &Scan{} },
	func() Operator { return &LinearAttention{} },
	func() Operator { return &CausalConvWithState{} },
	func() Operator { return &TensorScatter{Axis: -2} },
	func() Operator { return &RNN{} },
	func() Operator { return &GRU{} },
	func() Operator { return &LSTM{} },
	func() Operator { return &SequenceLSTM{} },
	func() Operator { return &NegativeLogLikelihoodLoss{} },
	func() Operator { return &SoftmaxCrossEntropyLoss{} },
	func() Operator { return &RoiAlign{OutputHeight: 1, OutputWidth: 1, SpatialScale: 1, HalfPixel: true} },
	func() Operator { return &DeformConv{} },
	func() Operator { return &GridSample{} },
	func() Operator { return &AffineGrid{} },
	func() Operator { return &CenterCropPad{} },
	func() Operator { return &Col2Im{} },
	func() Operator { return &MaxUnpool{} },
	func() Operator { return &NonMaxSuppression{} },
	func() Operator { return &Einsum{} },
	func() Operator { return &Det{} },
	func() Operator { return &EyeLike{} },
	func() Operator { return &BitCast{} },
	func() Operator { return &LpNormalization{Axis: -1, P: 2} },
	func() Operator { return &Unique{Sorted: true} },
	func() Operator { return &CumProd{} },
	func() Operator { return &DFT{} },
	func() Operator { return &STFT{Onesided: true} },
	func() Operator { return &MelWeightMatrix{} },
	func() Operator { return &TreeEnsemble{Aggregate: 1} },
}, windows()...)

// windows is the rows of window functions.
func windows() []func() Operator {
	var rows []func() Operator
	for _, w := range windowFunctions {
		rows = append(rows, func() Operator { return &WindowFunction{name: w.name, coefficients: w.coefficients, Periodic: true} })
	}
	return rows
}
