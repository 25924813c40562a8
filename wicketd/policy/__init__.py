"""Cedar decides every call: schema, encoder, engine and the checks of policy texts."""
