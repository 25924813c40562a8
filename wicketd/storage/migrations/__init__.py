"""Scripts `<n>.sql`, each from schema version n - 1 to n; `storage.migrate` runs them."""
