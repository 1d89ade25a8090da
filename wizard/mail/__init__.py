"""Room: the messages."""

from wizard.mail.messages import deliver, render, send_later

__all__ = ["deliver", "render", "send_later"]
