package work

// TaskIndexKeys is where an item stands in each index, by the index's table.
func TaskIndexKeys(row TaskRow) map[string]string {
	p, keys := row.place(), map[string]string{}
	for i, key := range p.keys(&place{}) {
		keys[taskIndexes[i].Name] = key
	}
	return keys
}
