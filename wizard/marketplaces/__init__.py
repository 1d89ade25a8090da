"""Room: one protocol, one module per cloud; arrivals and the doors marketplaces use."""
