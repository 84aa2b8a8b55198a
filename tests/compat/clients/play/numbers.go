package play

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// SortedNumbers sorts texts as the numbers in them would be.
func SortedNumbers(values []string) []string {
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	return values
}

// Short is sorted numbers in short: "0-9, 12, 12" (a number twice is said twice).
func Short(values []string) string {
	var parts []string
	for i := 0; i < len(values); {
		last := i
		for last+1 < len(values) && values[last+1] == next(values[last]) {
			last++
		}
		if last > i {
			parts = append(parts, values[i]+"-"+values[last])
		} else {
			parts = append(parts, values[i])
		}
		i = last + 1
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func next(number string) string {
	var n int
	if _, err := fmt.Sscan(number, &n); err != nil {
		return ""
	}
	return fmt.Sprint(n + 1)
}

// BytesOf is "null", or the bytes.
func BytesOf(value []byte) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprintf("%q", value)
}
