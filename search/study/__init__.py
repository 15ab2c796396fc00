"""Study file: schema, factors, resources, error messages and the catalogue of what a file may name."""
