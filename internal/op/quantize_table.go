package op

// quantizeTable is the operators that change how numbers are represented.
var quantizeTable = []func() Operator{
	func() Operator { return &Quantize{} },
	func() Operator { return &Dequantize{} },
	func() Operator { return &Requantize{} },
	func() Operator { return &FakeQuantize{} },
	func() Operator { return &QuantizeLinear{Axis: 1} },
	func() Operator { return &DequantizeLinear{Axis: 1} },
	func() Operator { return &DynamicQuantizeLinear{} },
	func() Operator { return &Cast{} },
	func() Operator { return &CastLike{} },
}
