package domain

// DecodeWith decodes a payload of the entry's own version.
func (d Def) DecodeWith(codec Codec, data []byte) (Event, error) { return d.decode(codec, data) }

// Each returns the sections of a document.
func (p Policy) Each() []Section { return p.sections }

// Written returns the document as the log has it.
func Written(text string) Policy { return written([]byte(text)) }
