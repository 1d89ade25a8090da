"""Room: the directory of sites, and the gateway to them."""
