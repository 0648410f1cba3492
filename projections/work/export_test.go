package work

import "github.com/ringrift/rift/projections"

// TaskIndexKeys is where an item stands in each index, by the index's table.
func TaskIndexKeys(row TaskRow) map[string]string {
	p, keys := row.place(), map[string]string{}
	for i, key := range p.keys(&place{}) {
		keys[taskIndexes[i].Name] = key
	}
	return keys
}

// SharesTable is where shares stand, and PutShare puts one there.
var SharesTable = workSharesTable

func PutShare(tx projections.Tx, row ShareRow) error {
	key := flowKey(row.Class, row.Pool, row.ConfigKey)
	if row.Turns > 0 {
		key = classKey(row.Class)
	}
	return workSharesTable.Put(tx, key, row)
}

// Charge books what a claim's choice costs.
var Charge = charge
