package mapping

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ringrift/rift/domain"
)

// apart splits text into its elements, none of them empty.
func (s splitting) apart(text string) ([]string, error) {
	if s == hostList {
		return hosts(text)
	}
	parts := []string{text}
	if s != "" {
		parts = strings.SplitN(text, string(s), maxList+1)
	}
	var list []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	if len(list) > maxList {
		return nil, domain.Errorf(domain.TooLarge, "want at most %d elements, found more", maxList)
	}
	return list, nil
}

// hosts expands a list of hosts as Slurm writes it: "node[1-3,07],gpu-1".
func hosts(text string) ([]string, error) {
	var list []string
	for len(text) > 0 {
		depth, end := 0, len(text)
		for i, c := range text {
			if c == '[' {
				depth++
			}
			if c == ']' {
				depth--
			}
			if c == ',' && depth == 0 {
				end = i
				break
			}
		}
		if depth != 0 {
			return nil, domain.Errorf(domain.Invalid, "list of hosts: want ] for every [, found %q", domain.Clip(text, 80))
		}
		expanded, err := expandHost(strings.TrimSpace(text[:end]), maxList-len(list))
		if err != nil {
			return nil, err
		}
		list = append(list, expanded...)
		text = text[min(end+1, len(text)):]
	}
	return list, nil
}

// expandHost expands one name with any number of ranges.
func expandHost(name string, room int) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	before, rest, has := strings.Cut(name, "[")
	if !has {
		if room < 1 {
			return nil, tooManyHosts()
		}
		return []string{name}, nil
	}
	ranges, rest, has := strings.Cut(rest, "]")
	if !has || strings.Contains(ranges, "[") {
		return nil, domain.Errorf(domain.Invalid, "list of hosts: want ] for every [, found %q", domain.Clip(name, 80))
	}
	ends := []string{""}
	if rest != "" {
		var err error
		if ends, err = expandHost(rest, room); err != nil {
			return nil, err
		}
	}
	var list []string
	for _, span := range strings.Split(ranges, ",") {
		low, high, is := strings.Cut(span, "-")
		if !is {
			high = low
		}
		from, err := strconv.ParseUint(low, 10, 32)
		to, err2 := strconv.ParseUint(high, 10, 32)
		if err != nil || err2 != nil || to < from {
			return nil, domain.Errorf(domain.Invalid, "list of hosts: want numbers from low to high, found %q", domain.Clip(span, 80))
		}
		if (to-from+1)*uint64(len(ends)) > uint64(max(room-len(list), 0)) {
			return nil, tooManyHosts()
		}
		for n := from; n <= to; n++ {
			for _, end := range ends {
				list = append(list, fmt.Sprintf("%s%0*d%s", before, len(low), n, end))
			}
		}
	}
	return list, nil
}

func tooManyHosts() error {
	return domain.Errorf(domain.TooLarge, "list of hosts: want at most %d, found more", maxList)
}
