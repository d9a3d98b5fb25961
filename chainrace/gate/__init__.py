"""What runs on the node: sees iptables processes, races the script, takes the rules.

Python's standard library only, 3.9 and newer, as root; the lab brings it along.
"""
