"""Room: the domain. Cloud accounts, subscriptions, workspaces, what settles what. No pages."""
