package op

// spatialTable is the convolutions, matrix products, pools, normalizations and resizing.
var spatialTable = []func() Operator{
	func() Operator { return &Conv{} },
	func() Operator { return &ConvTranspose{} },
	func() Operator { return &ConvInteger{} },
	func() Operator { return &MatMulInteger{} },
	func() Operator { return &Gemm{Alpha: 1, Beta: 1} },
	func() Operator { return &MatMul{} },
	func() Operator { return &MaxPool{} },
	func() Operator { return &AveragePool{} },
	func() Operator { return &GlobalAveragePool{} },
	func() Operator { return &GlobalMaxPool{} },
	func() Operator { return &BatchNormalization{Epsilon: 1e-5} },
	func() Operator { return &InstanceNormalization{Epsilon: 1e-5} },
	func() Operator { return &LayerNormalization{Axis: -1, Epsilon: 1e-5} },
	func() Operator { return &LpPool{P: 2} },
	func() Operator { return &GlobalLpPool{P: 2} },
	func() Operator { return &RMSNormalization{Axis: -1, Epsilon: 1e-5} },
	func() Operator { return &GroupNormalization{Epsilon: 1e-5} },
	func() Operator { return &MeanVarianceNormalization{} },
	func() Operator { return &LRN{Alpha: 1e-4, Beta: 0.75, Bias: 1} },
	func() Operator { return &Resize{CubicCoeffA: -0.75} },
	func() Operator { return &DepthToSpace{} },
	func() Operator { return &SpaceToDepth{} },
}
