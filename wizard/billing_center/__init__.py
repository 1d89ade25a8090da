"""Room: the Billing Center's pages."""
