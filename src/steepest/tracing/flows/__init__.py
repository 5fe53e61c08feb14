"""Solutions of initial value problems, y' = f(t, y) from y(t₀) = y₀ on, at given times: the flow of an equation.

One primitive of the trace (`primitive`) stands for a whole solution. NumPy follows it step by step (`walk`), a compiled
program in a loop (`loop`), both by the same steps of the same two methods (`explicit`, `implicit`). Its derivatives, of
every order, are solutions of larger problems: the state with the directions that are pushed through it (`problem`).
"""
