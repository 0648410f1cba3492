package states

// Shown are the tables of which people read rows.
func Shown() (tables []string) {
	for _, one := range shown {
		tables = append(tables, one.table)
	}
	return tables
}

// StepperOf makes a stepper of these read models and reactors.
var StepperOf = newStepper
