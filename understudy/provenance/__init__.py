"""Where a film is from: what it says of itself, signed, and what that is worth when it comes back.

A result carries words in its metadata, which anybody can write and anybody can remove. With the extra `provenance` it
also carries a C2PA manifest: the same facts and a hash of the file, signed by a certificate that was made on this
machine at first use. Nobody vouches for that certificate: it shows that a file is as this machine left it, and that it
was this machine; not who sits before it.
"""
