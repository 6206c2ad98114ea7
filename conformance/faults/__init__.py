"""Our own node with one fault each, for the kit's self-test: a case must not pass on it.

A fault is a function that changes a class or a module of this project in a process made for it;
the node itself knows nothing of faults.
"""
