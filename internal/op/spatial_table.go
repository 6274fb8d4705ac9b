package op

// spatialTable is the convolutions, matrix products, pools and normalizations.
var spatialTable = []func() Operator{
	func() Operator { return &Conv{} },
	func() Operator { return &Gemm{Alpha: 1, Beta: 1} },
	func() Operator { return &MatMul{} },
	func() Operator { return &MaxPool{} },
	func() Operator { return &AveragePool{} },
	func() Operator { return &GlobalAveragePool{} },
	func() Operator { return &GlobalMaxPool{} },
	func() Operator { return &BatchNormalization{Epsilon: 1e-5} },
	func() Operator { return &InstanceNormalization{Epsilon: 1e-5} },
	func() Operator { return &LayerNormalization{Axis: -1, Epsilon: 1e-5} },
}
