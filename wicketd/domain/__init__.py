"""Values and rules without I/O: standard library only, imported by everyone, importing nobody."""
