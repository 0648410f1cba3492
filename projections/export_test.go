package projections

// TaskIndexKeys is where an item stands in each index, by the index's table.
func TaskIndexKeys(row TaskRow) map[string]string {
	keys := map[string]string{}
	for _, index := range taskIndexes {
		keys[index.table.Name] = index.key(row.place())
	}
	return keys
}
