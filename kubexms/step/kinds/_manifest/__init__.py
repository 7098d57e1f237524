"""What the kind `manifest` is made of: objects as text, what a cluster remembers of them, shell."""
