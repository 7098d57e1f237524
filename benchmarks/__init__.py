"""How long kubexms takes, beside other tools on the same hosts and beside itself at other sizes.

`python -m benchmarks --help` says what can be measured.
"""
