package mapping

import (
	"embed"
	"strings"

	"github.com/ringrift/rift/domain"
)

//go:embed shipped/*.yaml
var shipped embed.FS

// Shipped names the mappings that come with rift.
func Shipped() []string { return []string{"slurm", "sacct", "kubernetes", "nomad", "journald"} }

// LoadShipped reads a mapping that comes with rift.
func LoadShipped(name string, catalog *domain.Catalog) (*Mapping, error) {
	return shippedMapping(name, catalog, 0)
}

// ShippedDocument is the YAML of a mapping that comes with rift.
func ShippedDocument(name string) ([]byte, error) {
	for _, known := range Shipped() {
		if known == name {
			return shipped.ReadFile("shipped/" + name + ".yaml")
		}
	}
	return nil, domain.Errorf(domain.NotFound, "mapping %q: want one of %s, or a file", domain.Clip(name, 80), strings.Join(Shipped(), ", "))
}

func shippedMapping(name string, catalog *domain.Catalog, depth int) (*Mapping, error) {
	document, err := ShippedDocument(name)
	if err != nil {
		return nil, err
	}
	if depth > maxIncluded {
		return nil, domain.Errorf(domain.Invalid, "want mappings that include others at most %d deep", maxIncluded)
	}
	return parse(document, catalog, depth)
}
