package simulate

// moments are what is going to happen, by time.
type moments struct {
	list []moment
	seq  uint64
}

func (m *moments) Len() int { return len(m.list) }
func (m *moments) Less(i, j int) bool {
	if !m.list[i].at.Equal(m.list[j].at) {
		return m.list[i].at.Before(m.list[j].at)
	}
	return m.list[i].seq < m.list[j].seq
}
func (m *moments) Swap(i, j int) { m.list[i], m.list[j] = m.list[j], m.list[i] }
func (m *moments) Push(one any)  { m.list = append(m.list, one.(moment)) }
func (m *moments) Pop() any {
	last := len(m.list) - 1
	one := m.list[last]
	m.list[last] = moment{}
	m.list = m.list[:last]
	return one
}
