"""Keys and ciphertexts: keyring, envelopes, member keys, token layers.

Pure but for reading the key files.
"""
