package op

// spatialTable is the convolutions, matrix products, pools and normalizations.
var spatialTable = []func() Operator{}
