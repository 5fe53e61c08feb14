"""Results as people read them: plain text, a card in a notebook, a curve in letters, and the marks of all."""
