"""The verdict: a fresh look at one point, whoever found it. One file per question asked."""
