"""Room: console accounts, Billing Center accounts; usernames, passwords, sessions, sign-in."""
