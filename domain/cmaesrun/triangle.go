package cmaesrun

import (
	"encoding/binary"
	"math"
)

// Triangle is a symmetric matrix as the bits of its lower triangle, row by row, 8
// bytes per number in big-endian order. In JSON it is base64, half as long as
// digits.
type Triangle []byte

// triangleOf returns the lower triangle of a matrix.
func triangleOf(matrix [][]float64) Triangle {
	n := len(matrix)
	t := make(Triangle, 0, 8*n*(n+1)/2)
	for i, row := range matrix {
		for _, v := range row[:i+1] {
			t = binary.BigEndian.AppendUint64(t, math.Float64bits(v))
		}
	}
	return t
}

// matrix returns the full matrix of n rows; missing elements are 0.
func (t Triangle) matrix(n int) [][]float64 {
	matrix := make([][]float64, n)
	for i := range matrix {
		matrix[i] = make([]float64, n)
	}
	numbers := t.numbers()
	for i := range matrix {
		for j := range min(i+1, len(numbers)) {
			matrix[i][j], matrix[j][i] = numbers[j], numbers[j]
		}
		numbers = numbers[min(i+1, len(numbers)):]
	}
	return matrix
}

func (t Triangle) numbers() []float64 {
	all := make([]float64, len(t)/8)
	for i := range all {
		all[i] = math.Float64frombits(binary.BigEndian.Uint64(t[8*i:]))
	}
	return all
}
