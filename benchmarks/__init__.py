"""What a call costs: wicketd against the bare upstream, in one interleaved run (`make bench`)."""
