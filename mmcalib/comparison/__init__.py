"""Many runs, side by side: a grid of them, and what can be said about their results."""
