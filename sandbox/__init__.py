"""Running code nobody trusts. Today: the protocol and a refusal; no tool code runs anywhere."""
