package op

// shapeTable is the operators that move values or compute shapes.
var shapeTable = []func() Operator{
	func() Operator { return &Identity{} },
	func() Operator { return &Reshape{} },
	func() Operator { return &Flatten{Axis: 1} },
	func() Operator { return &Squeeze{} },
	func() Operator { return &Unsqueeze{} },
	func() Operator { return &Transpose{} },
	func() Operator { return &Concat{} },
	func() Operator { return &Split{} },
	func() Operator { return &Slice{} },
	func() Operator { return &Pad{} },
	func() Operator { return &Gather{} },
	func() Operator { return &Expand{} },
	func() Operator { return &Tile{} },
	func() Operator { return &Shape{ToEnd: true} },
	func() Operator { return &Size{} },
	func() Operator { return &ConstantOfShape{} },
	func() Operator { return &Range{} },
}
