"""Room: email codes, one process for every purpose."""
