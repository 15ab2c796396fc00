"""Registration: registries, searchable fields and plug-ins."""
